"""What a function ships of Stripe's client is all that the adapter needs of it."""

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()

EVERYTHING = """
import json, sys
for name in {left_out!r}:
    sys.modules[name] = None  # importing it fails
from shared.payments import Charge
from shared.stripe.provider import StripeProvider

provider = StripeProvider(lambda refused=None: {key!r}, app="connects-ledger/tests", api_base={url!r})
charge = Charge(**json.loads({charge!r}))
ref = provider.prepare(charge)
said = [provider.confirm(ref, charge, present=True), provider.give_up(ref, charge), provider.look(ref, charge)]
heard, _ = provider.heard_since(None)
for kind, name in (("payment_intent", ref), ("charge", said[0].provider_charge)):
    heard.append(provider.hear({{"type": "v1.charge.refunded", "related_object": {{"type": kind, "id": name}}}}))
print(json.dumps([[payment.state.value for payment in said], [about.ref == ref for about in heard]]))
"""


def left_out():
    """What the build does not ship: packages, and parts of Stripe's client."""
    packages = re.search(r"^NOT_SHIPPED := (.+)$", MAKEFILE, re.MULTILINE).group(1).split()
    parts = re.search(r"^UNUSED := \$\(addprefix stripe/,(.+)\)$", MAKEFILE, re.MULTILINE).group(1).split()
    return [name.replace("-", "_") for name in packages] + [f"stripe.{part}" for part in parts]


def test_the_functions_that_ask_a_payment_provider_ship_stripes_client_and_no_others():
    said = re.search(r"^PAYING := \$\(addsuffix Function,(.+)\)$", MAKEFILE, re.MULTILINE).group(1).split()
    apps = ROOT.glob("functions/*/app.py")
    # That of the sandbox's clock only ever asks the sandbox's provider.
    asking = {app.parent.name for app in apps if "payment_provider" in app.read_text()} - {"sandbox_clock"}
    assert set(said) == {name.title().replace("_", "") for name in asking}


def test_the_adapter_does_without_what_is_not_shipped(on_twin):
    names = left_out()
    assert {"requests", "stripe.params", "stripe.events"} <= set(names)
    assert all(find_spec(name) for name in names), "a name that there is not"
    charge = on_twin.charge("createDispute")
    fields = json.dumps({name: getattr(charge, name) for name in charge.__slots__})
    script = EVERYTHING.format(left_out=names, key=on_twin.key, url=on_twin.url, charge=fields)
    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == [["charged"] * 3, [True] * 3]
