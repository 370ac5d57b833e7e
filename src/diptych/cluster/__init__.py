"""A verb's work on a Ray cluster (``--on ray://…``): the same pictures, the same rows, computed by many machines.

The work is cut into jobs of bounded size, each a pure function of a model, pictures and rows
(:mod:`diptych.engine.row_jobs`). A job is a plain Ray task of one processor (of one GPU where the cluster has any),
and its result is one file with a digest: what is done is done, whatever dies afterwards.

Ray Data was weighed. Its actors hold their processors for the whole run, so that on a small cluster the tasks that read
have none left; and its ``CheckpointConfig`` wants a column of unique identities and an output that Ray Data writes as
files of its own, whereas these verbs write one file, in order, and two pictures may have the same path. A task here
reads, decodes and computes by itself, so that nothing can starve.
"""

from diptych.cluster.connection import connected

__all__ = ["connected"]
