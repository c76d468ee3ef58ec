"""Commands for people who write rules: check, test, explain, backtest, schema, fields, recipes."""
