"""The template of this folder with the definitions inside, as `aws cloudformation package` and CloudFormation put them together.

test.py uses it. As a program, it prints the template for cfn-lint, which then checks the definitions, too:

    python3 packaged.py >whole.template.json && cfn-lint whole.template.json
"""

import json
import os
import re
import sys

import yaml

HERE = os.path.dirname(os.path.abspath(__file__))


class Template(yaml.SafeLoader):
    pass


def tag(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        if suffix == "GetAtt":
            return {"Fn::GetAtt": value.split(".", 1)}
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


yaml.add_multi_constructor("!", tag, Loader=Template)


def template(path, put):
    """A template in which `put(properties, text, given)` puts each definition, with its text and what is substituted in it."""
    with open(path) as file:
        read = yaml.load(file, Template)
    for name, resource in read["Resources"].items():
        properties = resource.get("Properties", {})
        if "DefinitionS3Location" in properties:
            with open(os.path.join(os.path.dirname(path), properties.pop("DefinitionS3Location"))) as file:
                text = file.read()
            given = properties.pop("DefinitionSubstitutions")
            used = set(re.findall(r"\$\{(\w+)\}", text))
            assert used == set(given), f"{name}: {used ^ set(given)} is given or used only"
            put(properties, text, given)
    return read


def as_text(properties, text, given):
    parts = re.split(r"\$\{(\w+)\}", text)
    properties["DefinitionString"] = {"Fn::Join": ["", [given[part] if at % 2 else part for at, part in enumerate(parts)]]}


def as_object(properties, text, given):
    # cfn-lint knows one partition.
    properties["Definition"] = json.loads(text.replace("${Partition}", "aws"))
    properties["DefinitionSubstitutions"] = {name: value for name, value in given.items() if name != "Partition"}


if __name__ == "__main__":
    json.dump(template(os.path.join(HERE, "dynasplit.yaml"), as_object), sys.stdout)
