"""The API's OpenAPI document, generated from the routes. No function loads anything of this."""
