"""`python -m swsa_core.config` writes what is generated from the config's sections: its JSON schema and its reference."""

from swsa_core.config.config import REFERENCE, SCHEMA, reference, schema

if __name__ == "__main__":
    SCHEMA.write_text(schema(), encoding="utf-8")
    REFERENCE.write_text(reference(), encoding="utf-8")
