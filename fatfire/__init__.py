"""The site: settings, URLs, the API's root, middleware. All else is a service (services/) or kit (fatfire/kit/)."""
