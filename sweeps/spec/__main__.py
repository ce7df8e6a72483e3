"""Print what a sweep's file may hold, as a JSON Schema or as the reference page: python -m sweeps.spec [--markdown]."""

import argparse
import json

from sweeps.spec.reference import json_schema, markdown


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m sweeps.spec", description=__doc__)
    parser.add_argument("--markdown", action="store_true", help="the reference page instead of the JSON Schema")
    options = parser.parse_args()
    print((markdown() if options.markdown else json.dumps(json_schema(), indent=1)).rstrip("\n"))


if __name__ == "__main__":
    main()
