"""What is deployed wraps tenants' keys by KMS: a bank's token goes in as the web function, whose role may do that."""

import base64

from tenants.isolation import tenant
from tenants.models import TenantKey
from tests.factories import make_key, make_portfolio, make_tenant


def test_a_banks_token_is_encrypted_under_a_key_that_kms_wraps(deployed, database):
    owner = make_tenant()
    secret = make_key(owner)
    with tenant(owner.id):
        portfolio_id = make_portfolio().id
    before = len(deployed.calls())

    with deployed.http() as browser:
        answer = browser.post("/api/v1/links", json={"portfolio_id": str(portfolio_id)}, headers={"X-API-Key": secret})

    assert answer.status_code == 201, answer.text
    with tenant(owner.id):
        wrapped = bytes(TenantKey.objects.get().wrapped)
    assert wrapped[:1] == b"\x02"
    assert base64.b64encode(wrapped) not in answer.content
    asked = [call for call in deployed.calls()[before:] if call["action"].startswith("kms:")]
    assert [call["action"] for call in asked] == ["kms:Encrypt", "kms:Decrypt"]
    assert {call["denied"] for call in asked} == {False}
    assert all("fatfire-emulator-web" in call["by"] for call in asked)
