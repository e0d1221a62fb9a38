//! Random lineage: few names, so that everything overlaps with something.

use fastrand::Rng;
use runlineage::{Node, Origin};

use super::world::{World, WorldLogged, WorldRun, WorldVersion, parsed};

const PATHS: [&str; 8] = ["", "/a", "/a/x", "/a/x/y", "/a/z", "/a-x", "/ab", "/b"];

/// The form of the whole.
#[derive(Debug, Clone, Copy)]
enum Shape {
    /// Each run reads what one earlier run wrote.
    Tree,
    /// Each run reads what two earlier runs wrote.
    Diamonds,
    /// Runs read and write anything, their own outputs, too.
    Any,
}

pub(crate) fn world(rng: &mut Rng) -> World {
    let shapes = [Shape::Tree, Shape::Diamonds, Shape::Any, Shape::Any];
    let shape = shapes[rng.usize(..shapes.len())];
    let count = rng.usize(2..30);
    let names = rng.usize(1..4);
    let mut world = World::default();
    for n in 0..count {
        let mut run = WorldRun::new(&format!("run{n:02}"));
        run.status = ["FINISHED", "FAILED"][rng.usize(..2)];
        run.is_deleted = rng.usize(..8) == 0;
        run.start = rng.i64(0..10);
        run.end = rng.bool().then(|| run.start + 1);
        match shape {
            Shape::Any => {
                for _ in 0..rng.usize(0..4) {
                    run.inputs.push((input(rng, count, names), origin(rng)));
                }
                for _ in 0..rng.usize(0..4) {
                    run.outputs.push((output(rng, count, names), origin(rng)));
                }
            }
            Shape::Tree | Shape::Diamonds => {
                let parents = if matches!(shape, Shape::Tree) { 1 } else { 2 };
                for _ in 0..parents.min(n) {
                    let parent = rng.usize(..n);
                    let path = PATHS[rng.usize(..PATHS.len())];
                    run = run.reads(&format!("artifact:run{parent:02}{path}"));
                }
                let path = PATHS[rng.usize(..PATHS.len())];
                run = run.writes(&format!("artifact:run{n:02}{path}"));
            }
        }
        if rng.usize(..8) == 0 {
            // Known from two places.
            if let Some((node, _)) = run.inputs.first().cloned() {
                run.inputs.push((node, Origin::Metrics));
            }
        }
        world.runs.push(run);
    }
    registry(rng, &mut world, count, names);
    for run in &mut world.runs {
        run.parent = (rng.usize(..3) == 0).then(|| run_id(rng, count));
    }
    world
}

/// Adds very many runs that read and write the same few things.
pub(crate) fn crowd(rng: &mut Rng, world: &mut World) {
    for n in 0..600 {
        let mut run = WorldRun::new(&format!("crowd{n:03}"));
        run.is_deleted = rng.usize(..8) == 0;
        for _ in 0..rng.usize(1..3) {
            run.inputs.push((input(rng, 5, 3), origin(rng)));
        }
        if rng.usize(..4) == 0 {
            run.outputs.push((output(rng, 5, 3), origin(rng)));
        }
        world.runs.push(run);
    }
}

fn registry(rng: &mut Rng, world: &mut World, count: usize, names: usize) {
    if rng.bool() {
        return;
    }
    for name in 0..names {
        for number in 1..rng.usize(1..4) {
            let mut version = WorldVersion::new(&format!("model:m{name}:{number}"));
            version.created = rng.i64(0..10);
            version.is_deleted = rng.usize(..6) == 0;
            if rng.bool() {
                version.run = Some(run_id(rng, count));
            }
            if rng.usize(..3) == 0 {
                version.logged_model = Some(format!("m-{}", rng.usize(..3)));
            }
            if rng.usize(..3) == 0 {
                let original = format!("model:m{}:{}", rng.usize(..names), rng.usize(1..4));
                let original = parsed(&original);
                version.copied_from = (original != version.node).then_some(original);
            }
            version.alias = rng.bool().then_some("champion");
            world.versions.push(version);
        }
    }
    for id in 0..rng.usize(..3) {
        let source_run = rng.bool().then(|| run_id(rng, count));
        let id = format!("m-{id}");
        let name = None;
        world.logged.push(WorldLogged {
            id,
            source_run,
            name,
        });
    }
    if rng.usize(..3) == 0 {
        let former = vec!["m1".to_owned(), "older".to_owned()];
        world.renamed.push(("m0".to_owned(), former));
    }
}

/// Some ids are of no run that the mirror has.
fn run_id(rng: &mut Rng, count: usize) -> String {
    format!("run{:02}", rng.usize(..count + 2))
}

fn origin(rng: &mut Rng) -> Origin {
    Origin::ALL[rng.usize(..Origin::ALL.len())]
}

fn artifact(rng: &mut Rng, count: usize) -> Node {
    let path = PATHS[rng.usize(..PATHS.len())];
    parsed(&format!("artifact:{}{path}", run_id(rng, count)))
}

fn model(rng: &mut Rng, names: usize) -> Node {
    let name = match rng.usize(..8) {
        0 => "older".to_owned(),
        _ => format!("m{}", rng.usize(..names)),
    };
    match rng.usize(..4) {
        0 => parsed(&format!("model:{name}")),
        version => parsed(&format!("model:{name}:{version}")),
    }
}

fn logged(rng: &mut Rng) -> Node {
    parsed(&format!("logged-model:m-{}", rng.usize(..3)))
}

fn output(rng: &mut Rng, count: usize, names: usize) -> Node {
    match rng.usize(..6) {
        0..3 => artifact(rng, count),
        3..5 => model(rng, names),
        _ => logged(rng),
    }
}

fn input(rng: &mut Rng, count: usize, names: usize) -> Node {
    match rng.usize(..8) {
        0 => parsed(["dataset:d", "dataset:d@1", "dataset:d@2"][rng.usize(..3)]),
        1 => parsed(["prompt:p", "prompt:p:1"][rng.usize(..2)]),
        _ => output(rng, count, names),
    }
}

/// Something to start from: mostly what the mirror has, sometimes what it has only in part, or not at all.
pub(crate) fn start(rng: &mut Rng, world: &World) -> Node {
    let count = world.runs.len();
    match rng.usize(..8) {
        0..3 => Node::run(&run_id(rng, count)).expect("an id"),
        3..5 => output(rng, count, 3),
        _ => input(rng, count, 3),
    }
}
