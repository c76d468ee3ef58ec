"""From YAML to rules, with the place of every mistake."""
