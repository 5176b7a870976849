"""Print the JSON Schema of a definition: ``python -m beambench.definition``."""

import json

from beambench.definition.schema import json_schema

if __name__ == "__main__":
    print(json.dumps(json_schema(), indent=2))  # noqa: T201
