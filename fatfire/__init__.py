"""The site: settings, the URLs, the API's root, the middleware. Everything else is a service (services/) or kit (fatfire/kit/)."""
