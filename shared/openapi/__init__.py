"""The API's OpenAPI document, generated from the routes. No function loads it."""
