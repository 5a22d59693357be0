"""What kinds of problem there are: a stable number, a name and a meaning for each, to look up in ``docs/problems.md``.

A code stays what it is for good: a kind of problem that is gone takes its number with it, and a new one gets a number
that none ever had. A message may be worded anew, or be found elsewhere, under the same code. Kinds that want different
things done never share one. What is wrong in a single case is the problem's text to say, not the code's.

The hundreds: 0 files and YAML, 1 what names and numbers in a recipe mean, 2 the form of a recipe, 3 checkpoints and
what lies beside them, 4 recipe and checkpoints together, 5 the output, 6 running, and what it needs of the machine,
7 locks, git, comparing and provenance.
"""

from __future__ import annotations

from enum import Enum, unique


@unique
class Code(Enum):
    """A kind of problem: (number, meaning), as ``XR101`` and a sentence; ``label`` is its name, ``unknown-source``."""

    UNREADABLE_RECIPE = ("XR001", "The recipe is not there, or cannot be read.")
    NOT_A_RECIPE = ("XR002", "The file is something else than a recipe: a checkpoint, or far too big.")
    NOT_UTF_8 = ("XR003", "The recipe is not UTF-8 text.")
    FORBIDDEN_CHARACTER = ("XR004", "The recipe has a character in it that YAML does not allow.")
    EMPTY_RECIPE = ("XR005", "The file has nothing in it but comments and blank lines.")
    NO_RECIPE_IN_FOLDER = ("XR006", "The folder has no .yaml or .yml file in it.")
    SEVERAL_DOCUMENTS = ("XR007", "The file has several YAML documents in it, and a recipe is one.")
    UNQUOTED_TEXT = ("XR008", "Text without quotation marks means something else in YAML than what stands there.")
    INDENTATION = ("XR009", "The indentation does not say what belongs together, or has tabs.")
    QUOTATION_MARKS = ("XR010", "Quotation marks are not closed, or have an escape in them that there is not.")
    DUPLICATE_KEY = ("XR011", "A key is there twice in one mapping.")
    MERGE_KEY = ("XR012", "The merge key << is not part of a recipe.")
    EXPANDS_TOO_FAR = ("XR013", "Aliases expand to far more than a recipe holds, or it is nested too deeply.")
    YAML_SYNTAX = ("XR014", "The text is not YAML.")
    MERGE_CONFLICT = ("XR015", "The file has the marks of a merge conflict in it.")

    UNKNOWN_SOURCE = ("XR101", "A name is not that of a source.")
    MISSING_WEIGHT = ("XR102", "A source has no weight.")
    WEIGHTS_DO_NOT_SUM_TO_ONE = ("XR103", "The weights do not sum to 1.")
    WEIGHTS_SUM_TO_ZERO = ("XR104", "The weights sum to 0, so that they cannot be normalized.")
    UNUSABLE_WEIGHT = ("XR105", "A weight is not a finite number, or is larger than any that makes sense.")
    UNKNOWN_COMPONENT = ("XR106", "There is no component of this name.")
    PATTERN_TOO_LARGE = ("XR107", "A pattern, or all together, would expand to more alternatives than are allowed.")
    RULE_MATCHES_NOTHING = ("XR108", "A rule's pattern matches no key.")
    RULE_OVERRULED = ("XR109", "A rule decides nothing, because later rules match all its keys too.")
    FROM_WITH_MORE = ("XR110", "A rule takes tensors from one source and has weights or a method besides.")
    RESERVED_SOURCE_NAME = ("XR111", "A source has a name that means something else here.")
    UNUSABLE_FILE_NAME = ("XR112", "A file's name cannot be written in a recipe, or is none on this system.")
    UNUSABLE_PARAMETER = ("XR113", "A method cannot work with a parameter, or with weights, as they are given.")
    METHOD_WITHOUT_BASE = ("XR114", "A method measures from a base, and the recipe names none.")
    BASE_WITH_WEIGHT = ("XR115", "The base has a weight or a parameter, and the others are only measured from it.")
    UNUSED_BASE = ("XR116", "The recipe names a base, and no method in it uses one.")
    METHOD_AND_SOURCES = ("XR117", "A method takes fewer or more sources than there are.")
    UNUSED_WEIGHTS = ("XR118", "Weights are given that the method has no use for.")
    GRADIENT_WITHOUT_LAYERS = ("XR119", "A number is to vary over layers, and the model is not known to have any.")

    UNKNOWN_FIELD = ("XR201", "There is no field of this name here.")
    MISSING_FIELD = ("XR202", "A field that must be there is not.")
    WRONG_TYPE = ("XR203", "A value is of another kind than the field takes.")
    UNKNOWN_VALUE = ("XR204", "A value is none of those that the field takes.")
    MALFORMED_SOURCE_NAME = ("XR205", "The name of a source has characters in it that a name cannot have.")
    MALFORMED_CHOICE = ("XR206", "What should choose a source is not of the form 'from NAME'.")
    MALFORMED_PATH = ("XR207", "A path has not the form that it must have; the output's says what is written.")
    MALFORMED_DIGEST = ("XR208", "A sha256 is not 64 hexadecimal digits.")
    EMPTY_VALUE = ("XR209", "Something is empty that must not be.")
    TOO_MANY_ENTRIES = ("XR210", "There are more entries than are allowed.")
    IMPOSSIBLE_SETTING = ("XR211", "A setting goes into something that is not a mapping.")
    OUT_OF_RANGE = ("XR212", "A number lies outside of what the field takes.")

    MISSING_FILE = ("XR301", "A checkpoint or vocabulary is not where the recipe says.")
    UNREADABLE_FILE = ("XR302", "A file that is needed cannot be read.")
    DAMAGED_CHECKPOINT = ("XR303", "A checkpoint is empty, cut short or damaged.")
    PACKED_CHECKPOINT = ("XR304", "A checkpoint was packed or compressed by another program.")
    GIT_LFS_POINTER = ("XR305", "The file is the pointer that Git LFS leaves in place of a checkpoint.")
    NOT_A_CHECKPOINT = ("XR306", "The file is something else than a checkpoint.")
    UNSUPPORTED_FORMAT = ("XR307", "The checkpoint has a form that is not read: of torch before 1.6, or big-endian.")
    UNSUPPORTED_TENSOR = ("XR308", "The checkpoint has a tensor of a kind that cannot be merged.")
    NO_STATE_DICT = ("XR309", "The checkpoint has no tensors by name in it.")
    CODE_IN_CHECKPOINT = ("XR310", "The file would run something when it is loaded the usual way.")
    BEYOND_ANY_CHECKPOINT = ("XR311", "The file has more of something than any real checkpoint.")
    MIXED_LAYOUTS = ("XR312", "The checkpoint has the same tensor twice, under the names of two layouts.")
    NO_MODEL_IN_DIRECTORY = ("XR313", "The directory has no model in it.")
    MALFORMED_CONFIG = ("XR314", "The config.json of a model directory is no config.")
    NOT_A_VOCABULARY = ("XR315", "The file is not a vocab.json as XTTS has it.")
    VOCABULARY_IDS = ("XR316", "The vocabulary gives a token no id, or two tokens the same.")
    VOCABULARY_MERGES = ("XR317", "The vocabulary has merges that the XTTS client cannot load.")
    DIGEST_DIFFERS = ("XR318", "A checkpoint is not the file whose sha256 the recipe names.")
    NO_MATCHING_KEY = ("XR319", "The checkpoint has no tensor that the pattern matches.")
    NO_COMPONENTS = ("XR320", "The checkpoint is not XTTS, and only XTTS has named components.")
    TOO_FEW_CHECKPOINTS = ("XR321", "The folder of a training run has fewer checkpoints than are asked for.")
    NO_EVAL_LOSS = ("XR322", "No checkpoint of a training run says what its eval_loss is.")

    DIFFERENT_MODELS = ("XR401", "The sources are different models: XTTS v1 and v2, or XTTS and something else.")
    DIFFERENT_ARCHITECTURES = ("XR402", "The configs of the sources describe different networks.")
    MISSING_TENSORS = ("XR403", "Tensors are in some sources only.")
    UNEQUAL_SHAPES = ("XR404", "Tensors have another shape in each source.")
    UNEQUAL_TYPES = ("XR405", "Tensors are of kinds that cannot be mixed, as whole numbers in one source only.")
    WRONG_VOCABULARY = ("XR406", "A vocabulary has another number of rows than its source.")
    UNKNOWN_VOCABULARY = ("XR407", "Vocabularies differ, and that of one source is not known.")
    CANCELLING_WEIGHTS = ("XR408", "The weights of the sources that know a token cancel each other.")
    TEXT_TENSORS_APART = ("XR409", "The text tensors would have the rows of different vocabularies.")
    ORDER_WITHOUT_ROWS = ("XR410", "The source that vocabulary.order names gives the text tensors no rows.")
    INCOMPATIBLE_VOCABULARIES = ("XR411", "The merges of two vocabularies do not go into one.")
    NOT_FOR_SAFETENSORS = ("XR412", "The output has tensors that a .safetensors file cannot hold.")
    ONLY_FOR_XTTS = ("XR413", "The recipe asks for what there is of XTTS only, and the sources are not XTTS.")
    DIRECTORY_WITHOUT_VOCABULARY = ("XR414", "The output directory needs a vocab.json, and none is known that fits.")
    DIRECTORY_WITHOUT_CONFIG = ("XR415", "The output directory needs a config.json, and no source has a config.")
    CONFIG_OF_ANOTHER_NETWORK = ("XR416", "The config.json for the output directory describes another network.")
    METHOD_BY_TOKEN = ("XR417", "Text rows are to be merged token by token by a method that cannot do that.")

    OUTPUT_IS_INPUT = ("XR501", "The output would overwrite what the run reads.")
    NOT_MADE_BY_XTTSRECIPE = ("XR502", "The output is there already, and xttsrecipe did not make it.")
    CHANGED_SINCE_WRITTEN = ("XR503", "A file beside the old model is not what xttsrecipe wrote with it.")
    FILE_OR_DIRECTORY = ("XR504", "The output is to be a file and a directory is there, or the other way round.")
    IRREPLACEABLE_OUTPUT = ("XR505", "The output is a device, a mount or the current folder, and cannot be replaced.")
    FOREIGN_FILES = ("XR506", "The output directory holds files that do not belong to a model.")
    UNSET_VARIABLE = ("XR507", "The output's path names an environment variable that is not set.")
    NO_ROOM = ("XR508", "The output does not fit on the disk.")
    UNWRITABLE = ("XR509", "A file cannot be written.")
    ANOTHER_RUN = ("XR510", "Another run is writing this output.")
    CHANGED_MEANWHILE = ("XR511", "The old output was written, changed or removed while the run was at work.")
    NOT_ON_DISK = ("XR512", "The output is in its place, but the disk reports a failure.")
    RECIPE_EXISTS = ("XR513", "There is a file already where the new recipe should go.")

    TORCH_MISSING = ("XR601", "Running needs torch, which is not installed.")
    UNUSABLE_TORCH = ("XR602", "The torch that is installed cannot be loaded, or is too old.")
    UNUSABLE_DEVICE = ("XR603", "Torch cannot compute on this device.")
    NO_MORE_THREADS = ("XR604", "The system gives no more threads.")
    SOURCE_CHANGED = ("XR605", "A source was changed or replaced between plan and run.")
    OVERFLOW = ("XR606", "Values are too large for the output's type.")
    NOT_FINITE = ("XR607", "Values are NaN or infinite.")
    UNWRITABLE_RESULTS = ("XR608", "The results cannot be written to stdout.")
    NOT_ENOUGH_MEMORY = ("XR609", "There is not enough memory.")

    NO_LOCK = ("XR701", "The recipe has no lock, and --locked asks for one.")
    MALFORMED_LOCK = ("XR702", "The file is not a lock as xttsrecipe writes it.")
    LOCK_VERSION = (
        "XR703",
        "The lock was written by another version of xttsrecipe, in a form that this one does not know.",
    )
    LOCK_OF_ANOTHER_PLAN = ("XR704", "The lock does not cover what the recipe does now.")
    SOURCE_NOT_AS_LOCKED = ("XR705", "A source is not the file that was locked.")
    OUTPUT_NOT_AS_LOCKED = ("XR706", "The output's tensors are not those that the lock has of the same plan.")
    CANNOT_BE_LOCKED = ("XR707", "A source has what a lock has no form for.")
    NO_PROVENANCE = (
        "XR708",
        "The checkpoint does not say that xttsrecipe made it, or says it in no form that is known.",
    )
    CANNOT_BE_VERIFIED = ("XR709", "Neither the sources nor a lock with the output's digest are at hand.")
    SOURCE_NOT_AS_MADE_FROM = ("XR710", "A source is not the file that the output was made from.")
    NOT_AS_MADE = ("XR711", "The output is not what its recipe makes of its sources.")
    ONE_LOCK_FOR_TWO = ("XR712", "Two recipes would have one lock, as only their suffixes differ.")
    GIT_MISSING = ("XR720", "Revisions are read by git, which is not installed or cannot be started.")
    NO_REPOSITORY = ("XR721", "The current folder is in no git repository, or in one without a work tree.")
    GIT_FAILED = ("XR722", "Git refuses to read the repository, or fails.")
    UNKNOWN_REVISION = ("XR723", "The repository has no such revision.")
    NOT_IN_REVISION = ("XR724", "The revision has no such file or folder, or it is none that can be read.")
    NOTHING_TO_COMPARE = ("XR725", "There is no file, folder or revision of this name.")
    FILE_AND_FOLDER = ("XR726", "A file is compared with a folder.")

    def __init__(self, number: str, meaning: str) -> None:
        self.number = number
        self.meaning = meaning

    @property
    def label(self) -> str:
        return self.name.lower().replace("_", "-")

    def __str__(self) -> str:
        return self.number
