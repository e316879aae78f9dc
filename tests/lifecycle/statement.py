"""Reads a statement with in-toto's reference library, prints its parts, and expects that the library refuses damaged ones:
`statement.py FILE`."""

import json
import sys

from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor
from in_toto_attestation.v1.statement import Statement


def read(statement):
    """Returns the predicate of a valid statement. Protobuf refuses fields that the form does not have."""
    parsed = json_format.Parse(json.dumps(statement), statement_pb2.Statement())
    Statement.copy_from_pb(parsed).validate()
    text = json.dumps(statement["predicate"])
    predicate = json_format.Parse(text, provenance_pb2.Provenance())
    definition = predicate.build_definition
    if not definition.build_type or not predicate.run_details.builder.id:
        raise ValueError("the build type or the builder is missing")
    if not definition.external_parameters.fields:
        raise ValueError("no external parameters")
    for dependency in definition.resolved_dependencies:
        ResourceDescriptor.copy_from_pb(dependency).validate()
    return predicate


def is_refused(statement):
    try:
        read(statement)
    except (ValueError, json_format.ParseError):
        return True
    return False


with open(sys.argv[1]) as file:
    text = file.read()
predicate = read(json.loads(text))
for number, damage in enumerate([
    lambda s: s.update(_type="https://in-toto.io/Statement/v0.1"),
    lambda s: s.update(subject=[]),
    lambda s: s["subject"][0].update(digest={}),
    lambda s: s["predicate"].update(builder={}),
    lambda s: s["predicate"]["runDetails"]["metadata"].update(startedOn="yesterday"),
    lambda s: s["predicate"]["buildDefinition"]["resolvedDependencies"].append({}),
]):
    statement = json.loads(text)
    damage(statement)
    assert is_refused(statement), f"damage {number} is accepted"
metadata = predicate.run_details.metadata
seconds = metadata.finished_on.ToSeconds() - metadata.started_on.ToSeconds()
count = len(predicate.build_definition.resolved_dependencies)
print(f"valid: {count} dependencies, {seconds} seconds")
