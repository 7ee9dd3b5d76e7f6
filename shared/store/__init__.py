"""The ledger in DynamoDB: ``rows`` says how items are stored, ``table`` reads them and writes decisions."""
