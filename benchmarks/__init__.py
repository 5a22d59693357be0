"""How fast xttsrecipe is and how much memory it takes, measured beside a byte loop and other ways to merge.

    make bench                        full size: 31 GB of disk, about half an hour on two cores
    make bench ARGS=--quick           small files: proves that the suite runs, measures nothing that counts
    make bench ARGS=--rivals          with mergekit and sd-mecha, each in an environment of its own

``suite`` is the whole of it: ``inputs`` makes the checkpoints, ``cases`` says what is run on them, ``measure`` runs it,
``bars`` and ``report`` say what came out; ``children`` sees to it that nothing runs on when it is broken off.
``floor``, ``ours``, ``naive`` and ``rivals`` are what is measured, each in a process of its own. Nothing else imports
torch but the making of checkpoints, which is a process of its own too: a child's peak memory begins at its parent's.
"""
