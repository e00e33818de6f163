"""The settings of a credential: exactly one of its forms must be configured."""

from datetime import date
from typing import Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from rotator.edges.setting_types import FilePath, Section


class CredentialSettings(Section):
    """The app registration and its credential; the secret itself is in another file or in a variable."""

    client_id: str = Field(min_length=1)
    client_secret_file: FilePath | None = None
    client_secret_env: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    client_secret_expires: date | None = Field(
        default=None, description="the day on which the client secret expires, for the metric and its alert"
    )
    certificate_file: FilePath | None = Field(
        default=None,
        description="the private key and its certificate, as PEM or PKCS#12; without the key beside private_key_file",
    )
    private_key_file: FilePath | None = Field(
        default=None,
        description="the private key of the certificate in certificate_file, as PEM, if it is not in there",
    )
    certificate_password_file: FilePath | None = Field(
        default=None, description="the passphrase of the private key, or of the PKCS#12 file"
    )
    federated_token_file: FilePath | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        secrets = ("client_secret_file", "client_secret_env", "certificate_file", "federated_token_file")
        given = [name for name in secrets if getattr(self, name) is not None]
        if len(given) != 1:
            raise PydanticCustomError("credential", "needs exactly one of {names}", {"names": ", ".join(secrets)})
        if self.client_secret_expires is not None and not given[0].startswith("client_secret"):
            raise PydanticCustomError("credential", "client_secret_expires needs a client secret")
        for name in ("private_key_file", "certificate_password_file"):
            if getattr(self, name) is not None and self.certificate_file is None:
                raise PydanticCustomError("credential", "{name} needs certificate_file", {"name": name})
        return self
