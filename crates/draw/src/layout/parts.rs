//! The connected parts of a graph.

/// One connected part, with its nodes and edges numbered anew.
pub(super) struct Part {
    /// The node of the whole graph for each node of the part.
    pub(super) nodes: Vec<usize>,
    /// The edge of the whole graph for each edge of the part.
    pub(super) edges: Vec<usize>,
    /// The ends of each edge, as nodes of the part.
    pub(super) ends: Vec<(usize, usize)>,
}

/// The connected parts, in the order of their first nodes.
pub(super) fn connected(nodes: usize, edges: &[(usize, usize)]) -> Vec<Part> {
    let mut leader: Vec<usize> = (0..nodes).collect();
    for &(from, to) in edges {
        let (a, b) = (find(&mut leader, from), find(&mut leader, to));
        // The smaller leads, so that the leader of a part is its first node.
        leader[a.max(b)] = a.min(b);
    }
    let mut parts: Vec<Part> = Vec::new();
    let mut part_of = vec![0; nodes];
    let mut number = vec![0; nodes];
    for node in 0..nodes {
        let first = find(&mut leader, node);
        if first == node {
            part_of[node] = parts.len();
            parts.push(Part {
                nodes: Vec::new(),
                edges: Vec::new(),
                ends: Vec::new(),
            });
        }
        part_of[node] = part_of[first];
        let part = &mut parts[part_of[node]];
        number[node] = part.nodes.len();
        part.nodes.push(node);
    }
    for (edge, &(from, to)) in edges.iter().enumerate() {
        let part = &mut parts[part_of[from]];
        part.edges.push(edge);
        part.ends.push((number[from], number[to]));
    }
    parts
}

fn find(leader: &mut [usize], mut node: usize) -> usize {
    while leader[node] != node {
        leader[node] = leader[leader[node]];
        node = leader[node];
    }
    node
}
