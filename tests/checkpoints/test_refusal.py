from __future__ import annotations

import pytest

from xttsrecipe.checkpoints.refusal import is_refused

# What real checkpoints ask for: none of it may be called an attack.
INNOCENT = """
    TTS.tts.configs.xtts_config:XttsConfig TTS.tts.models.xtts:XttsArgs TTS.tts.models.xtts:XttsAudioConfig
    TTS.config.shared_configs:BaseDatasetConfig TTS.config.shared_configs:BaseAudioConfig coqpit.coqpit:Coqpit
    trainer.trainer:TrainerConfig trainer.generic_utils:KeepAverage torch:device torch:Size torch:float32
    torch._utils:_rebuild_tensor_v2 torch.nn.modules.linear:Linear torch.optim.adamw:AdamW
    torch.optim.lr_scheduler:MultiStepLR torch.cuda.amp.grad_scaler:GradScaler torch.distributed:ReduceOp
    numpy:ndarray numpy:float64 numpy.core.multiarray:_reconstruct numpy.random._pickle:__randomstate_ctor
    omegaconf.dictconfig:DictConfig argparse:Namespace types:SimpleNamespace threading:Lock decimal:Decimal
    fractions:Fraction uuid:UUID enum:Enum string:Template random:Random collections:ChainMap
    acme.voices:Thing acme.voices:thing acme:Thing.Inner __main__:Config __mp_main__:Config systems:run osmosis:run
""".split()

GUILTY = """
    os:system posix:system nt:system subprocess:Popen builtins:eval builtins:exec builtins:getattr
    importlib:import_module runpy:run_path pty:spawn webbrowser:open operator:attrgetter _operator:itemgetter
    torch.hub:load torch:load torch.jit:load torch.jit._serialization:load torch._inductor.codecache:x numpy:load
    numpy.testing._private.utils:runstring functools:partial os.path:join os:PathLike subprocess:CompletedProcess
    asyncio.base_events:Server io:BytesIO types:FunctionType types:CodeType threading:Thread collections:namedtuple
    datetime:datetime.now random:randrange json:loads logging:getLogger logging.config:fileConfig pickle:Unpickler
    sqlite3:Connection pip._internal:main
""".split()


@pytest.mark.parametrize("dotted", INNOCENT)
def test_classes_and_functions_of_models_pass(dotted: str) -> None:
    module, name = dotted.split(":")
    assert not is_refused(module, name)


@pytest.mark.parametrize("dotted", GUILTY)
def test_what_runs_opens_or_imports_is_refused(dotted: str) -> None:
    module, name = dotted.split(":")
    assert is_refused(module, name)


@pytest.mark.parametrize("module", ["torch.hubris", "numpy.testing_tools", "torch.jitter"])
def test_a_module_whose_name_only_begins_alike_passes(module: str) -> None:
    assert not is_refused(module, "Thing")
