"""What relying parties of a policy read: its OpenID configuration and its JWKS. May import model and http."""
