# Checks bills of materials with the reference libraries: cyclonedx-python-lib with the schema, spdx-tools, packageurl-python.
# Each library must also refuse a bill that is damaged, or it would check nothing.
import json
import pathlib
import sys
import tempfile

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document


def cyclonedx(path):
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(path.read_text())
    return [] if error is None else [str(error)]


def spdx(path):
    try:
        return [m.validation_message for m in validate_full_spdx_document(parse_file(str(path)))]
    except Exception as error:
        return [str(error)]


def purls(node):
    """All addresses of packages in a bill."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name == "purl" or name == "referenceLocator":
                yield value
            else:
                yield from purls(value)
    elif isinstance(node, list):
        for value in node:
            yield from purls(value)


def refs(component):
    yield component["bom-ref"]
    for part in component.get("components", []):
        yield from refs(part)


problems = []
folder = pathlib.Path(tempfile.mkdtemp(dir=sys.argv[1]))
bills = sorted(pathlib.Path(sys.argv[1]).glob("*.json"))
for path in bills:
    check = cyclonedx if ".cyclonedx." in path.name else spdx
    problems += [f"{path.name}: {problem}" for problem in check(path)]
    bill = json.loads(path.read_text())
    for purl in purls(bill):
        found = PackageURL.from_string(purl)
        if not found.type or not found.name:
            problems.append(f"{path.name}: {purl} names no package")
        # What the library writes of it is another spelling of the same.
        if PackageURL.from_string(found.to_string()) != found:
            problems.append(f"{path.name}: {purl} is read as {found}")
    if check is cyclonedx:
        names = [ref for part in bill["components"] for ref in refs(part)]
        if len(names) != len(set(names)):
            problems.append(f"{path.name}: two parts have one bom-ref")
    del bill["creationInfo" if check is spdx else "specVersion"]
    damaged = folder / path.name
    damaged.write_text(json.dumps(bill))
    if not check(damaged):
        problems.append(f"{path.name}: a damaged bill is accepted")
for problem in problems:
    print(problem)
if problems:
    sys.exit(1)
print(f"{len(bills)} bills are valid")
