"""A mirror's table held against its source, item by item, while the stream goes on.

Every item of the source is judged by the mirror's own plan (what the row should be, or that there should be none), and
every row of the replica by whether its item is there. The first look is eventually consistent and costs half; what
differs is looked at again, consistently, after a pause. It counts if it differs still and neither side has moved:
choose the pause longer than the stream's lag, or what is merely late is taken for wrong.
"""
