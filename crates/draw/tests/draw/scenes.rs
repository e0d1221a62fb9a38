//! Graphs to draw: a few that look like real lineage, and random ones with hostile names.

use fastrand::Rng;
use runlineage_draw::{Change, Hidden, NodeKind, Picture, PictureEdge, PictureNode};

/// The scenes that people look at and whose crossings are compared with Graphviz.
pub(crate) fn fixed() -> Vec<(&'static str, Picture)> {
    vec![
        ("small", small()),
        ("medium", medium()),
        ("wide", wide()),
        ("deep", deep()),
        ("cyclic", cyclic()),
        ("unicode", unicode()),
    ]
}

pub(crate) struct Scene {
    pub(crate) nodes: Vec<PictureNode>,
    pub(crate) edges: Vec<PictureEdge>,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self {
            nodes: Vec::new(),
            edges: Vec::new(),
        }
    }

    /// Adds a node of this kind and name, and gives its id.
    pub(crate) fn node(&mut self, kind: NodeKind, name: &str) -> String {
        self.node_with(kind, name, |_| {})
    }

    pub(crate) fn node_with(
        &mut self,
        kind: NodeKind,
        name: &str,
        change: impl FnOnce(&mut PictureNode),
    ) -> String {
        let id = match kind {
            NodeKind::Run => format!("run:{:032x}", 0x8f2c_61d0 + self.nodes.len()),
            kind => format!("{}:{name}", kind.name()),
        };
        let mut node = PictureNode::new(id.clone(), kind);
        node.name = name.to_owned();
        node.link = Some(format!(
            "http://127.0.0.1:5000/#/nodes/{}",
            self.nodes.len()
        ));
        change(&mut node);
        self.nodes.push(node);
        id
    }

    pub(crate) fn run(&mut self, name: &str, status: &str) -> String {
        self.node_with(NodeKind::Run, name, |node| {
            node.status = Some(status.to_owned());
            node.lines.push("2026-11-20 14:05".to_owned());
            node.facts.push(("user".into(), "ana".into()));
        })
    }

    pub(crate) fn edge(&mut self, from: &str, to: &str) {
        self.edge_with(from, to, |_| {});
    }

    pub(crate) fn edge_with(
        &mut self,
        from: &str,
        to: &str,
        change: impl FnOnce(&mut PictureEdge),
    ) {
        let mut edge = PictureEdge::new(from, to);
        edge.origins.push("tag".into());
        change(&mut edge);
        self.edges.push(edge);
    }

    pub(crate) fn picture(self) -> Picture {
        Picture::new(self.nodes, self.edges).expect("ids are unique and edges join nodes")
    }
}

pub(crate) fn small() -> Picture {
    let mut scene = Scene::new();
    let data = scene.node(NodeKind::Dataset, "customers@3f9a12");
    let train = scene.run("train-churn", "FINISHED");
    let version = scene.node_with(NodeKind::Model, "churn 7", |node| node.start = true);
    let score = scene.run("score-daily", "FAILED");
    let alias = scene.node(NodeKind::Alias, "churn@champion");
    scene.edge(&data, &train);
    scene.edge(&train, &version);
    scene.edge(&version, &score);
    scene.edge(&version, &alias);
    scene.picture()
}

pub(crate) fn medium() -> Picture {
    let mut scene = Scene::new();
    let raw = scene.node(NodeKind::Dataset, "raw-events@a91b");
    let prepare = scene.run("prepare-events", "FINISHED");
    scene.edge(&raw, &prepare);
    let mut files = Vec::new();
    for part in [
        "train.parquet",
        "validation.parquet",
        "test.parquet",
        "features/encoder.json",
    ] {
        let file = scene.node(NodeKind::Artifact, &format!("data/{part}"));
        scene.edge(&prepare, &file);
        files.push(file);
    }
    let prompt = scene.node(NodeKind::Prompt, "summarise-ticket 4");
    let mut versions = Vec::new();
    for (place, status) in ["FINISHED", "FINISHED", "FAILED", "KILLED", "RUNNING"]
        .iter()
        .enumerate()
    {
        let train = scene.run(&format!("train-churn-{}", place + 1), status);
        scene.edge(&files[0], &train);
        scene.edge(&files[1], &train);
        if place % 2 == 0 {
            scene.edge(&files[3], &train);
        }
        if place < 3 {
            let logged = scene.node(
                NodeKind::LoggedModel,
                &format!("m-{:08x}", 0x51ab_23cd + place * 77),
            );
            scene.edge(&train, &logged);
            let version =
                scene.node_with(NodeKind::Model, &format!("churn {}", place + 5), |node| {
                    node.start = place == 1;
                    node.deleted = place == 0;
                    if place == 1 {
                        node.hidden_down = Hidden::exactly(37);
                    }
                });
            scene.edge_with(&logged, &version, |edge| {
                edge.origins = vec!["registry".into()]
            });
            versions.push((logged, version));
        }
    }
    let champion = scene.node(NodeKind::Alias, "churn@champion");
    scene.edge(&versions[1].1, &champion);
    for (place, (logged, version)) in versions.iter().enumerate() {
        let evaluate = scene.run(&format!("evaluate-{}", place + 5), "FINISHED");
        scene.edge(&files[2], &evaluate);
        scene.edge(logged, &evaluate);
        for day in 0..3 {
            let score = scene.run(
                &format!("score-2026-11-{:02}", place * 3 + day + 1),
                "FINISHED",
            );
            scene.edge_with(version, &score, |edge| edge.certain = day != 2);
            if day == 0 {
                scene.edge(&prompt, &score);
                let table = scene.node_with(
                    NodeKind::Artifact,
                    &format!("scores/{}.parquet", place + 1),
                    |node| {
                        node.known = place != 2;
                    },
                );
                scene.edge(&score, &table);
            }
        }
    }
    scene.picture().truncated(
        "ended at 40 nodes below model:churn:6; raise --max-nodes to see more".to_owned(),
    )
}

pub(crate) fn wide() -> Picture {
    let mut random = Rng::with_seed(7);
    let mut scene = Scene::new();
    let mut outputs = Vec::new();
    for dataset in 0..12 {
        outputs.push(scene.node(
            NodeKind::Dataset,
            &format!("dataset-{dataset}@{:06x}", dataset * 7919 + 77_777),
        ));
    }
    let mut number = 0;
    for layer in 0..4 {
        let mut made = Vec::new();
        for _ in 0..[18, 26, 26, 20][layer] {
            number += 1;
            let status = ["FINISHED", "FINISHED", "FINISHED", "FAILED"][random.usize(..4)];
            let run = scene.run(&format!("step-{layer}-{number}"), status);
            for _ in 0..1 + random.usize(..2) {
                let input = outputs[random.usize(..outputs.len())].clone();
                scene.edge_with(&input, &run, |edge| edge.certain = random.usize(..12) > 0);
            }
            if random.usize(..10) > 1 {
                let kind =
                    [NodeKind::Model, NodeKind::Artifact, NodeKind::LoggedModel][random.usize(..3)];
                let output = scene.node(kind, &format!("output-{number}"));
                scene.edge(&run, &output);
                made.push(output);
            }
        }
        outputs.extend(made);
    }
    scene.nodes[60].start = true;
    let hub = scene.node(NodeKind::Model, "popular 3");
    for reader in 0..30 {
        let run = scene.run(&format!("reader-{reader}"), "FINISHED");
        scene.edge(&hub, &run);
    }
    let first = scene.nodes[12].id.clone();
    scene.edge(&first, &hub);
    scene.picture()
}

pub(crate) fn deep() -> Picture {
    let mut scene = Scene::new();
    let mut last = scene.node(NodeKind::Dataset, "seed@00ff");
    for step in 0..14 {
        let run = scene.run(&format!("fine-tune-{step}"), "FINISHED");
        scene.edge(&last, &run);
        let model = scene.node_with(NodeKind::Model, &format!("llm {}", step + 1), |node| {
            node.start = step == 13
        });
        scene.edge(&run, &model);
        if step % 5 == 2 {
            let evaluation = scene.run(&format!("evaluate-{step}"), "FINISHED");
            scene.edge(&model, &evaluation);
        }
        if step % 4 == 3 {
            let seed = scene.nodes[0].id.clone();
            scene.edge(&seed, &run);
        }
        last = model;
    }
    scene.picture()
}

pub(crate) fn cyclic() -> Picture {
    let mut scene = Scene::new();
    let policy = scene.node_with(NodeKind::Model, "policy", |node| node.start = true);
    let collect = scene.run("collect-episodes", "RUNNING");
    let buffer = scene.node(NodeKind::Artifact, "replay/buffer.bin");
    let train = scene.run("train-policy", "SCHEDULED");
    scene.edge_with(&policy, &collect, |edge| edge.certain = false);
    scene.edge(&collect, &buffer);
    scene.edge(&buffer, &train);
    scene.edge_with(&train, &policy, |edge| edge.certain = false);
    let compact = scene.run("compact", "FINISHED");
    scene.edge(&buffer, &compact);
    scene.edge(&compact, &buffer);
    let own = scene.run("checkpointing", "FINISHED");
    scene.edge(&own, &own.clone());
    scene.edge(&policy, &own);
    let report = scene.node(NodeKind::Artifact, "report.html");
    scene.edge(&own, &report);
    scene.edge(&train, &report);
    scene.picture()
}

pub(crate) fn unicode() -> Picture {
    let mut scene = Scene::new();
    let start = scene.node_with(
        NodeKind::Run,
        "обучение-модели-прогнозирования-оттока-клиентов-2026",
        |node| {
            node.start = true;
            node.status = Some("FINISHED".into());
        },
    );
    for (place, name) in HOSTILE.iter().enumerate() {
        let kind = NodeKind::ALL[place % 7];
        let node = scene.node_with(kind, &format!("{place} {name}"), |node| {
            node.link = Some("javascript:alert(1)".into());
        });
        if place % 2 == 0 {
            scene.edge(&node, &start);
        } else {
            scene.edge(&start, &node);
        }
    }
    scene.picture()
}

/// Names that break careless programs.
pub(crate) const HOSTILE: &[&str] = &[
    "<script>alert(1)</script>",
    "</script><svg onload=alert(1)>",
    "\" onmouseover=\"alert(1)",
    "a & b <c> 'd' \"e\"",
    "]]><!--",
    "{{data}}",
    "\u{202e}gnirts desrever",
    "\u{2067}isolate\u{200f}",
    "\u{0}\u{1}\u{8}\u{1b}[31mred\u{7f}\u{9b}",
    "line\nbreak\ttab\rreturn\u{2028}separator",
    "数据集-客户流失-训练",
    "نموذج التنبؤ",
    "דגם",
    "👩‍🔬🧪🚀",
    "e\u{301}\u{302}\u{303}\u{304}",
    "\u{fffe}\u{ffff}\u{feff}",
    "%3Cscript%3E",
    "a/b/c/../../../etc/passwd",
    " ",
];

/// A random graph: trees, diamonds, hubs, cycles, self loops, and every kind of flag.
pub(crate) fn random(seed: u64) -> Picture {
    let count = 1 + Rng::with_seed(seed).usize(..if seed.is_multiple_of(10) { 160 } else { 45 });
    random_of(seed, seed % 6, count)
}

/// A random graph of one sort with this many nodes.
pub(crate) fn random_of(seed: u64, sort: u64, count: usize) -> Picture {
    let mut random = Rng::with_seed(seed);
    let mut scene = Scene::new();
    for place in 0..count {
        let kind = NodeKind::ALL[random.usize(..7)];
        let name = random_name(&mut random, place);
        scene.node_with(kind, &name, |node| decorate(node, &mut random));
    }
    let ids: Vec<String> = scene.nodes.iter().map(|node| node.id.clone()).collect();
    let mut join = |from: usize, to: usize, random: &mut Rng| {
        let certain = random.usize(..5) > 0;
        scene.edge_with(&ids[from], &ids[to], |edge| edge.certain = certain);
    };
    match sort {
        // A tree.
        0 => (1..count).for_each(|node| join(random.usize(..node), node, &mut random)),
        // Diamonds.
        1 => (3..count).for_each(|node| {
            join(node - 3, node, &mut random);
            join(node - 2, node, &mut random);
        }),
        // Hubs.
        2 => (1..count).for_each(|node| {
            let hub = random.usize(..node.min(3));
            let (from, to) = if random.bool() {
                (hub, node)
            } else {
                (node, hub)
            };
            join(from, to, &mut random);
        }),
        // A long way with shortcuts.
        3 => (1..count).for_each(|node| {
            join(node - 1, node, &mut random);
            join(random.usize(..node), node, &mut random);
        }),
        // Anything, in any direction, with cycles, loops and parts.
        _ => (0..random.usize(..2 * count + 1)).for_each(|_| {
            let (from, to) = (random.usize(..count), random.usize(..count));
            join(from, to, &mut random);
        }),
    }
    let picture = scene.picture();
    if random.usize(..4) == 0 {
        picture.truncated(random_name(&mut random, 0))
    } else {
        picture
    }
}

fn random_name(random: &mut Rng, place: usize) -> String {
    match random.usize(..12) {
        0..=3 => format!("{place} {}", HOSTILE[random.usize(..HOSTILE.len())]),
        4 => format!("{place} {}", "long ".repeat(2_000)),
        5 => format!("{place}{}", "W".repeat(random.usize(..60))),
        _ => format!("node-{place}"),
    }
}

fn decorate(node: &mut PictureNode, random: &mut Rng) {
    node.start = random.usize(..15) == 0;
    node.known = random.usize(..8) > 0;
    node.deleted = random.usize(..8) == 0;
    node.depth = random.u32(..9);
    if random.usize(..6) == 0 {
        node.hidden_up = Hidden::exactly(random.u64(1..3_000));
        node.hidden_down = Hidden::over(10_000);
    }
    let statuses = [
        "FINISHED",
        "RUNNING",
        "SCHEDULED",
        "FAILED",
        "KILLED",
        "<b>odd</b>",
    ];
    if random.bool() {
        node.status = Some(statuses[random.usize(..statuses.len())].into());
    }
    for _ in 0..random.usize(..3) {
        node.lines
            .push(HOSTILE[random.usize(..HOSTILE.len())].into());
    }
    let links = [
        "https://mlflow.example/#/a?b=1&c=\"2\"",
        "javascript:alert(1)",
        "http://x y",
        "data:text/html,x",
        "HTTP://host/",
    ];
    node.link = Some(links[random.usize(..links.len())].into());
    if random.usize(..4) == 0 {
        node.change = Some(Change::ALL[random.usize(..Change::ALL.len())]);
    }
}
