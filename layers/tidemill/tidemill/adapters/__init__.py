"""The only callers of boto3, one module per fact owned."""
