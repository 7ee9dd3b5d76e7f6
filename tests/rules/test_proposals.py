"""Proposals: a job's price in Connects, what its sender saw of it, and what is free."""


def test_a_jobs_price_follows_its_size_and_scope(api):
    """Configured here: 2 for small and simple, 6 for small and complex, 16 for large and complex."""
    prices = {
        (size, scope): api.post(f"{size}-{scope}", size=size, scope=scope).body["price"]
        for size, scope in [("small", "simple"), ("small", "complex"), ("large", "complex")]
    }
    assert prices == {("small", "simple"): 2, ("small", "complex"): 6, ("large", "complex"): 16}


def test_the_price_is_recomputed_whenever_the_job_changes(api):
    api.post(version=1, size="small", scope="simple")
    api.post(version=2, size="large", scope="complex")
    assert api.job().body["price"] == 16
    api.post(version=3, price=5)
    assert api.job().body["price"] == 5


def test_a_price_is_shown_before_anything_is_spent(api, freelancer):
    ann = freelancer()
    api.post(price=7)
    assert (api.job().body["price"], ann.balance) == (7, 50)


def test_a_proposal_costs_its_jobs_price(api, freelancer):
    ann = freelancer()
    api.post(price=7)
    assert ann.proposes(expected_price=7).body["amount"] == -7
    assert ann.balance == 43


def test_if_the_price_is_not_what_the_sender_saw_nothing_is_spent_and_the_answer_names_the_new_one(api, freelancer):
    """Users saw the number change between reading a post and answering it."""
    ann = freelancer()
    api.post(version=1, price=7)
    api.post(version=2, price=9)
    refused = ann.proposes(expected_price=7)
    assert (refused.refused, refused.body["price"]) == ((409, "price_changed"), 9)
    assert (ann.balance, ann.entries("spend")) == (50, [])
    assert ann.proposes(expected_price=9).status == 201


def test_a_proposal_is_free_after_an_invitation_for_an_offer_a_catalogue_purchase_and_in_an_enterprise_talent_cloud(
    api, freelancer
):
    ann = freelancer()
    for channel in ("invitation", "offer", "catalogue", "enterprise"):
        api.post(f"j-{channel}", price=7)
        assert ann.proposes(f"j-{channel}", reference={"channel": channel}).body["amount"] == 0
    assert ann.balance == 50


def test_an_account_sends_one_proposal_on_a_job(api, freelancer):
    ann, bob = freelancer(), freelancer("bob")
    for job in ("j-1", "j-2"):
        api.post(job, price=7)
    assert ann.proposes("j-1").status == 201
    assert ann.proposes("j-1").refused == (409, "already_exists")
    assert ann.proposes("j-2").status == 201
    assert bob.proposes("j-1").status == 201
    assert (ann.balance, bob.balance) == (36, 43)


def test_a_proposal_above_the_balance_is_refused(api, freelancer):
    ann = freelancer()
    api.post(price=51)
    refused = ann.proposes()
    assert refused.refused == (409, "insufficient_connects")
    assert (refused.body["balance"], refused.body["required"]) == (50, 51)
