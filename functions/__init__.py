"""One folder a Lambda function, each only an adapter: parse, authorise, call a service, answer."""
