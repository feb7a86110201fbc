"""Reads what people write: YAML texts into the models of `core.manifests`, every mistake with its place.

`load` is the way in; `graph` and `names` say whether a manifest can run; `schema` publishes the JSON
Schema; `new` gives manifests to begin with. Pure: texts come in, models and problems go out. The host
and the command line call it; programs never do.
"""
