"""Validates OpenLineage events. Arguments: the folder of the published schemas. Stdin: one event a line. Prints each error."""

import json
import pathlib
import sys

import jsonschema
import referencing

schemas = {}
for file in sorted(pathlib.Path(sys.argv[1]).glob("*.json")):
    schema = json.loads(file.read_text())
    schemas[schema["$id"]] = schema
registry = referencing.Registry().with_resources(
    (id, referencing.Resource.from_contents(schema)) for id, schema in schemas.items()
)
CORE = next(schema for id, schema in schemas.items() if id.endswith("/OpenLineage.json"))
FORMATS = jsonschema.Draft202012Validator.FORMAT_CHECKER
for needed in ("uuid", "uri", "date-time"):
    assert needed in FORMATS.checkers, "no checker of the format %s" % needed


def errors(schema, value, place):
    validator = jsonschema.Draft202012Validator(schema, registry=registry, format_checker=FORMATS)
    return ["%s: %s: %s" % (place, error.json_path, error.message) for error in validator.iter_errors(value)]


def facets(value, place):
    """Every facet in an event: objects under `facets`, `inputFacets` and `outputFacets`."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in ("facets", "inputFacets", "outputFacets"):
                for name, facet in inner.items():
                    yield "%s/%s/%s" % (place, key, name), facet
            yield from facets(inner, "%s/%s" % (place, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from facets(inner, "%s/%d" % (place, number))


found, counted = [], {}
lines = sys.stdin.read().split("\n")
for number, line in enumerate(line for line in lines if line):
    event = json.loads(line)
    place = "event %d" % number
    found += errors(CORE, event, place)
    found += errors({"$ref": event["schemaURL"]}, event, place)
    for facet_place, facet in facets(event, place):
        url = facet["_schemaURL"]
        counted[url] = counted.get(url, 0) + 1
        found += errors({"$ref": url}, facet, facet_place)
print(json.dumps({"errors": found, "facets": counted}))
