//! [`SmallDisk`]: a real file system of a few megabytes with a MongoDB on it. A test fills the file system and frees it again.

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
    // By default, MongoDB allocates 200 MB for its journal.
    "log=(file_max=1MB,prealloc=false)",
    "--syncdelay",
    "5",
];

/// A small file system and its MongoDB. Dropping this value removes both.
pub struct SmallDisk {
    pub port: u16,
    // Declared before the file system, so dropped first.
    server: Option<Mongod>,
    holder: Kept,
    folder: KeptFolder,
}

impl SmallDisk {
    /// Creates a file system of this size, and starts MongoDB on it.
    pub fn start(megabytes: u32) -> Self {
        let folder = KeptFolder::new();
        let data = folder.path().join("data");
        std::fs::create_dir(&data).expect("a new folder takes another");
        // Namespaces of its own need no privilege to mount, and the kernel removes the mount when the process ends.
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

    /// Fills the file system except for `leave` kilobytes.
    pub fn fill(&self, leave: usize) {
        let (filler, rest) = (self.file("filler"), self.file("rest"));
        std::fs::write(&rest, vec![1; leave << 10]).expect("so much is free");
        let mut file = File::create(filler).expect("a file can be made");
        while file.write_all(&[1; 4 << 10]).is_ok() {}
        std::fs::remove_file(rest).expect("it is there");
    }

    /// Frees the file system, and restarts the server if the full disk ended it.
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

/// The path of a file in the mount namespace of this process.
fn inside(holder: &Kept, path: &std::path::Path) -> PathBuf {
    let root = format!("/proc/{}/root", holder.pid());
    let path = path
        .strip_prefix("/")
        .expect("a temporary folder is absolute");
    PathBuf::from(root).join(path)
}
