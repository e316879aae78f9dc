#!/usr/bin/env python3
"""Packs what a VMware build left in a folder as one OVA file: DIR/NAME.ova, and its checksum beside it.

The folder holds an exported OVF package, or a machine (.vmx) that ovftool turns into one. The facts that Packer's
manifest records of the build are added to the OVF as properties, so that a vCenter shows what a template is made of.
"""

import argparse
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import xml.etree.ElementTree as xml

OVF = "http://schemas.dmtf.org/ovf/envelope/1"
# Facts of the manifest that become properties: name in the manifest, name of the property.
PROPERTIES = {
    "build_timestamp": "BUILD_TIMESTAMP",
    "containerd_version": "CONTAINERD_VERSION",
    "distro_arch": "DISTRO_ARCH",
    "distro_name": "DISTRO_NAME",
    "distro_version": "DISTRO_VERSION",
    "ib_version": "IMAGE_BUILDER_VERSION",
    "kubernetes_cni_semver": "CNI_VERSION",
    "kubernetes_semver": "KUBERNETES_SEMVER",
    "kubernetes_source_type": "KUBERNETES_SOURCE_TYPE",
}


def find_ovf(folder: pathlib.Path, name: str) -> pathlib.Path:
    """The OVF file of the folder or of the folder in it that an export made, else one made of the .vmx file."""
    for pattern in (f"{name}.ovf", f"{name}/{name}.ovf", "*.ovf", "*/*.ovf"):
        found = sorted(folder.glob(pattern))
        if found:
            return found[0]
    machines = sorted(folder.glob("*.vmx"))
    if not machines:
        sys.exit(f"pack: {folder} holds neither an .ovf nor a .vmx file")
    ovf = folder / f"{name}.ovf"
    command = ["ovftool", "--acceptAllEulas", "--overwrite", "--shaAlgorithm=SHA256", str(machines[0]), str(ovf)]
    try:
        subprocess.run(command, check=True)
    except FileNotFoundError:
        sys.exit("pack: ovftool is not installed, or not on the PATH")
    except subprocess.CalledProcessError as error:
        sys.exit(f"pack: ovftool ended with exit status {error.returncode}")
    return ovf


def describe(ovf: pathlib.Path, facts: dict) -> list:
    """Adds the product section to the OVF file; returns the files that the OVF refers to."""
    for _, (prefix, uri) in xml.iterparse(ovf, events=["start-ns"]):
        xml.register_namespace(prefix, uri)
    tree = xml.parse(ovf)
    root = tree.getroot()
    machine = root.find(f"{{{OVF}}}VirtualSystem")
    if machine is None:
        sys.exit(f"pack: {ovf} describes no virtual machine")
    name = lambda tag: f"{{{OVF}}}{tag}"
    section = xml.Element(name("ProductSection"))
    xml.SubElement(section, name("Info")).text = "What this node was built from"
    xml.SubElement(section, name("Product")).text = f"{facts.get('os_display_name', '')} and Kubernetes {facts.get('kubernetes_semver', '')}"
    xml.SubElement(section, name("Version")).text = facts.get("kubernetes_typed_version", "")
    for fact, key in PROPERTIES.items():
        attributes = {name("key"): key, name("type"): "string", name("userConfigurable"): "false", name("value"): facts.get(fact, "")}
        xml.SubElement(section, name("Property"), attributes)
    for old in machine.findall(name("ProductSection")):
        if old.get(name("class")) is None and old.get(name("instance")) is None:
            machine.remove(old)
    machine.append(section)
    tree.write(ovf, encoding="UTF-8", xml_declaration=True)
    return [file.get(name("href")) for file in root.iter(name("File"))]


def sha256(path: pathlib.Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dir", type=pathlib.Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--manifest", type=pathlib.Path, required=True)
    options = parser.parse_args()

    ova = options.dir / f"{options.name}.ova"
    exported = sorted(options.dir.glob("*.ova"))
    if exported and not list(options.dir.glob("**/*.ovf")):
        ova = exported[0]  # the builder packed it itself (format = "ova")
    else:
        builds = json.loads(options.manifest.read_text())["builds"]
        ovf = find_ovf(options.dir, options.name)
        files = [ovf.parent / file for file in describe(ovf, builds[-1].get("custom_data") or {})]
        sums = "".join(f"SHA256({file.name})= {sha256(file)}\n" for file in [ovf, *files])
        listing = ovf.with_suffix(".mf")
        listing.write_text(sums)
        half = ova.with_suffix(".ova.part")
        # The format asks for this order: description, checksums, disks.
        with tarfile.open(half, "w", format=tarfile.USTAR_FORMAT) as archive:
            for file in [ovf, listing, *files]:
                entry = archive.gettarinfo(file, file.name)
                entry.uid, entry.gid, entry.uname, entry.gname, entry.mode = 0, 0, "", "", 0o644
                with open(file, "rb") as content:
                    archive.addfile(entry, content)
        os.replace(half, ova)
    ova.with_suffix(".ova.sha256").write_text(f"{sha256(ova)}  {ova.name}\n")
    print(f"pack: {ova}")


if __name__ == "__main__":
    main()
