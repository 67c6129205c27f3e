"""Keys of members and pairs: a form that leads back to the ids, and nothing else is taken for one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_assets.errors import InputError
from ai_assets.member_partitions import (
    LARGEST_ID,
    assistant_members_def,
    member_key,
    members_def,
    pair_key,
    parse_member_key,
    parse_pair_key,
    partitions_of,
)

IDS = st.integers(1, LARGEST_ID)
RULES = settings(deadline=None, max_examples=100)


@given(site=IDS, member=IDS)
@RULES
def test_a_member_key_leads_back_to_its_ids(site, member):
    key = member_key(site, member)
    assert parse_member_key(key) == (site, member)
    assert partitions_of(key) == members_def.name
    with pytest.raises(InputError):
        parse_pair_key(key)


@given(site=IDS, assistant=IDS, member=IDS)
@RULES
def test_a_pair_key_leads_back_to_its_ids(site, assistant, member):
    key = pair_key(site, assistant, member)
    assert parse_pair_key(key) == (site, assistant, member)
    assert partitions_of(key) == assistant_members_def.name
    with pytest.raises(InputError):
        parse_member_key(key)


@given(st.text(st.sampled_from("0123456789:_-+ ٣一|,\n"), max_size=12) | st.text(max_size=12))
@RULES
def test_any_text_is_one_form_or_the_other_or_refused_in_one_line(text):
    accepted = []
    for parse, make in ((parse_member_key, member_key), (parse_pair_key, pair_key)):
        try:
            accepted.append(make(*parse(text)))
        except InputError as error:
            said = str(error)
            accepted.append(None if repr(text) in said and "\n" not in said else said)
    assert [key for key in accepted if key is not None] in ([], [text])


def test_the_keys_look_as_the_contract_says():
    assert (member_key(1001, 555), pair_key(1001, 7, 555)) == ("1001:555", "1001:7_555")
    assert (members_def.name, assistant_members_def.name) == ("members", "assistant_members")


@pytest.mark.parametrize(
    "key", ["", "1001", "1001:", "1001:0", "01:5", "1001:-5", "1001:5 ", "1001:７", f"1001:{2**63}", "a:b"]
)
def test_a_key_that_is_no_members_is_named_with_its_form(key):
    with pytest.raises(InputError, match="SITE:MEMBER, such as 1001:555"):
        parse_member_key(key)


@pytest.mark.parametrize("key", ["1001:555", "1001:7_", "1001:_555", "1001:7_555_1", f"1001:7_{2**63}"])
def test_a_key_that_is_no_pairs_is_named_with_its_form(key):
    with pytest.raises(InputError, match="SITE:ASSISTANT_MEMBER, such as 1001:7_555"):
        parse_pair_key(key)


@pytest.mark.parametrize("number", [0, -1, LARGEST_ID + 1])
def test_no_key_is_made_of_an_id_that_cannot_be(number):
    for make in (lambda: member_key(1001, number), lambda: pair_key(1001, number, 5)):
        with pytest.raises(InputError, match=str(number)):
            make()
