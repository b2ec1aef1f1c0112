"""Checks JSON against the schemas in docs/, with what Python has."""

TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}


def differences(value, schema, at="it"):
    """How a value differs from a JSON Schema, as far as those in docs/ go."""
    known = {"$schema", "$id", "title", "description", "type", "required", "additionalProperties", "properties", "const",
             "enum", "minimum", "maximum", "items", "propertyNames"}
    if not set(schema) <= known:
        return [f"{at}: this test does not know {sorted(set(schema) - known)}"]
    found = []
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    fits = [kind for kind in kinds if (kind in TYPES and isinstance(value, TYPES[kind])) or (kind == "number" and number)
            or (kind == "integer" and number and isinstance(value, int))]
    if kinds and not fits:
        found.append(f"{at}: {value!r} is not {kinds}")
    if "const" in schema and value != schema["const"]:
        found.append(f"{at}: {value!r} is not {schema['const']!r}")
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{at}: {value!r} is none of {schema['enum']}")
    if number and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        found.append(f"{at}: {value} is out of range")
    if isinstance(value, list):
        for index, item in enumerate(value):
            found += differences(item, schema.get("items", {}), f"{at}[{index}]")
    if isinstance(value, dict):
        found += [f"{at}: {name} is missing" for name in schema.get("required", []) if name not in value]
        more = schema.get("additionalProperties", {})
        for name, item in value.items():
            found += differences(name, schema.get("propertyNames", {}), f"{at}.{name}")
            if name in schema.get("properties", {}):
                found += differences(item, schema["properties"][name], f"{at}.{name}")
            elif more is False:
                found.append(f"{at}: {name} is unknown")
            elif more is not True:
                found += differences(item, more, f"{at}.{name}")
    return found
