"""Bodies of which only the end differs."""

import gzip

from hypothesis import given
from hypothesis import strategies as st

from service.packing import PackedHead


@given(head=st.binary(max_size=5000), rests=st.lists(st.binary(max_size=3000), min_size=1))
def test_one_head_makes_a_whole_stream_with_every_end(head, rests):
    packed = PackedHead(head)
    for rest in rests:
        assert gzip.decompress(packed.finish(rest)) == head + rest
