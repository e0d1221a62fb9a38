"""Reads graphs with NetworkX. Stdin is a JSON list of GraphML texts; stdout is one answer for each."""

import json
import sys
import xml.etree.ElementTree

import networkx

answers = []
for text in json.load(sys.stdin):
    graph = networkx.parse_graphml(text, force_multigraph=True)
    # NetworkX makes a node of every end of an edge, so only the file itself says which nodes it declares.
    space = "{http://graphml.graphdrawing.org/xmlns}"
    declared = [node.get("id") for node in xml.etree.ElementTree.fromstring(text).iter(space + "node")]
    answers.append({
        "directed": graph.is_directed(),
        "graph": graph.graph,
        "declared": declared,
        "nodes": [[id, data] for id, data in graph.nodes(data=True)],
        "edges": [[source, target, data] for source, target, data in graph.edges(data=True)],
    })
json.dump(answers, sys.stdout)
