"""DynamoDB, and nothing but: ``rows`` is how things lie in the table, ``table`` reads them and writes decisions."""
