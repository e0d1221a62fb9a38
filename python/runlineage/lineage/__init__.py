"""Registers in MLflow what runs read and wrote: by hand, by URI, or by watching what a run loads.

MLflow records who made a model. It does not record who used it. This module sets the lineage tags of mlopus on MLflow's runs, with
MLflow's own client, so the client's credentials and plugins hold. The next sync mirrors the tags.

>>> import runlineage as rl                                                       # doctest: +SKIP
>>> rl.lineage.of(run).with_input_model("churn", "3").register()                  # doctest: +SKIP
>>> uri = rl.lineage.use("models:/churn@champion")                                # doctest: +SKIP
>>> rl.lineage.autolog()                                                          # doctest: +SKIP
"""

from runlineage.lineage._autolog import autolog
from runlineage.lineage._registration import Registration, of
from runlineage.lineage._use import use

__all__ = ["Registration", "autolog", "of", "use"]
