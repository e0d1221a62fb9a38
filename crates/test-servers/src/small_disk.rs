//! A real file system of a few megabytes, which a test fills up and frees again, and a MongoDB on it.

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::keeper::{Kept, KeptFolder, tail};
use crate::mongodb::Mongod;
use crate::{free_port, poll};

const OPTIONS: [&str; 4] = [
    "--wiredTigerEngineConfigString",
    // A journal takes 200 MB ahead unless told otherwise.
    "log=(file_max=1MB,prealloc=false)",
    "--syncdelay",
    "5",
];

/// The file system is there for as long as this is.
pub struct SmallDisk {
    pub port: u16,
    // Before what it stands on.
    server: Option<Mongod>,
    holder: Kept,
    folder: KeptFolder,
}

impl SmallDisk {
    /// A file system of so many megabytes with a running MongoDB.
    pub fn start(megabytes: u32) -> Self {
        let folder = KeptFolder::new();
        let data = folder.path().join("data");
        std::fs::create_dir(&data).expect("a new folder takes another");
        // In namespaces of its own: that needs no right to mount, and the mount goes with the process, however it ends.
        let mut command = Command::new("unshare");
        command
            .args(["--user", "--map-root-user", "--mount", "sh", "-c"])
            .arg("mount -t tmpfs -o size=$1m tmpfs \"$0\" && touch \"$0/ready\" && exec sleep infinity")
            .arg(&data)
            .arg(megabytes.to_string());
        let log = folder.path().join("mount.log");
        let mut holder = Kept::start(&command, &log);
        let ready = inside(&holder, &data).join("ready");
        let mounted = poll(Duration::from_secs(30), || {
            if ready.exists() || !holder.runs() {
                Some(ready.exists())
            } else {
                None
            }
        });
        assert_eq!(
            mounted,
            Some(true),
            "this machine does not let the tests mount a file system in a namespace of their own: allow user namespaces \
             (`sysctl kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0`, or a container with \
             `--security-opt seccomp=unconfined --cap-add SYS_ADMIN`); {}",
            tail(&log)
        );
        let mut disk = Self {
            port: free_port(),
            server: None,
            holder,
            folder,
        };
        disk.start_server();
        disk
    }

    pub fn uri(&self, database: &str) -> String {
        format!("mongodb://127.0.0.1:{}/{database}?w=majority", self.port)
    }

    /// Fills the file system up, but for so many kilobytes.
    pub fn fill(&self, leave: usize) {
        let (filler, rest) = (self.file("filler"), self.file("rest"));
        std::fs::write(&rest, vec![1; leave << 10]).expect("so much is free");
        let mut file = File::create(filler).expect("a file can be made");
        while file.write_all(&[1; 4 << 10]).is_ok() {}
        std::fs::remove_file(rest).expect("it is there");
    }

    /// Frees what was filled, and starts the server again where the full disk ended it.
    pub fn free(&mut self) {
        std::fs::remove_file(self.file("filler")).expect("it is there");
        if self.server.as_mut().is_none_or(|server| !server.runs()) {
            self.server = None;
            self.start_server();
        }
    }

    fn start_server(&mut self) {
        let folder = self.folder.path();
        let server = Mongod::start_inside(self.holder.pid(), self.port, folder, &OPTIONS);
        self.server = Some(server.unwrap_or_else(|reason| panic!("{reason}")));
    }

    fn file(&self, name: &str) -> PathBuf {
        inside(&self.holder, &self.folder.path().join("data")).join(name)
    }
}

/// A path as that process sees it.
fn inside(holder: &Kept, path: &std::path::Path) -> PathBuf {
    let root = format!("/proc/{}/root", holder.pid());
    let path = path
        .strip_prefix("/")
        .expect("a temporary folder is absolute");
    PathBuf::from(root).join(path)
}
