"""Microsoft Graph: endpoints, bodies of requests and answers, the throttle. May import model and http."""
