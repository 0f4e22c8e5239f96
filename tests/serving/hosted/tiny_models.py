"""Tiny random models of every task, as folders that look like those of the Hub: safetensors, tokenizers, processors.

They are made once for this machine, not once for each test process: the folder of a model is named by this file's
content and the versions of the libraries. It is written elsewhere and renamed, so that nobody sees half a model.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import diffusers
import tokenizers
import torch
import transformers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

TEXTS = (
    "the quick brown fox jumps over the lazy dog",
    "a photo of an astronaut riding a horse on mars",
    "find the load at which a unit breaks, and keep it standing when capacity goes",
    "pack my box with five dozen liquor jugs; how vexingly quick daft zebras jump!",
    "tokens per second, requests per second, dollars per hour: 0123456789",
)
LABELS = ("calm", "tide", "wave", "storm")
CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def _kept(make: Callable[[Path], None], *key: object) -> Path:
    versions = (transformers.__version__, diffusers.__version__, torch.__version__, tokenizers.__version__)
    source = Path(__file__).read_bytes()
    digest = hashlib.sha256(source + repr((versions, key)).encode()).hexdigest()[:16]
    root = Path(tempfile.gettempdir()) / f"holdfast-tiny-models-{os.getuid()}"
    root.mkdir(mode=0o700, exist_ok=True)
    folder = root / f"{make.__name__.strip('_')}-{digest}"
    if not folder.exists():
        draft = Path(tempfile.mkdtemp(dir=root))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(20)
            make(draft)
        try:
            draft.rename(folder)
        except OSError:  # another process was first
            shutil.rmtree(draft)
    return folder


@functools.cache
def bert_classifier(*, problem_type: str | None = None, labels: int = len(LABELS)) -> Path:
    """A BERT that sorts texts of at most 64 tokens into labels."""

    def classifier(folder: Path) -> None:
        config = _bert_config(problem_type=problem_type, id2label=dict(enumerate(LABELS[:labels])))
        _save(transformers.BertForSequenceClassification(config), folder)
        _word_pieces().save_pretrained(folder)

    return _kept(classifier, problem_type, labels)


@functools.cache
def bert_embedder(pooling: str | None = None) -> Path:
    """A BERT without a head. pooling: mean, cls or lasttoken adds the files of sentence-transformers, for 48 tokens."""

    def embedder(folder: Path) -> None:
        _save(transformers.BertModel(_bert_config()), folder)
        _word_pieces().save_pretrained(folder)
        if pooling is not None:
            kinds = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
            modules = [
                {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
                for i, (path, kind) in enumerate(kinds)
            ]
            modes = {"cls": "cls_token", "mean": "mean_tokens", "max": "max_tokens", "lasttoken": "lasttoken"}
            chosen = {f"pooling_mode_{name}": mode == pooling for mode, name in modes.items()}
            _write(folder / "modules.json", modules)
            _write(folder / "sentence_bert_config.json", {"max_seq_length": 48, "do_lower_case": False})
            _write(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": 32} | chosen)

    return _kept(embedder, pooling)


@functools.cache
def vit() -> Path:
    """A ViT for images of 32 x 32 pixels."""

    def image_classifier(folder: Path) -> None:
        config = transformers.ViTConfig(
            **_SMALL, image_size=32, patch_size=8, initializer_range=0.2, id2label=dict(enumerate(LABELS))
        )
        _save(transformers.ViTForImageClassification(config), folder)
        size = {"height": 32, "width": 32}
        _write(folder / "preprocessor_config.json", {"image_processor_type": "ViTImageProcessor", "size": size})

    return _kept(image_classifier)


@functools.cache
def yolos() -> Path:
    """A YOLOS whose images have a short side of 48 pixels and a long one of at most 96; ten objects in each."""

    def detector(folder: Path) -> None:
        config = transformers.YolosConfig(
            **_SMALL,
            image_size=[64, 64],
            patch_size=16,
            num_detection_tokens=10,
            initializer_range=0.5,
            use_mid_position_embeddings=False,
            id2label=dict(enumerate(LABELS)),
        )
        _save(transformers.YolosForObjectDetection(config), folder)
        size = {"shortest_edge": 48, "longest_edge": 96}
        _write(folder / "preprocessor_config.json", {"image_processor_type": "YolosImageProcessor", "size": size})

    return _kept(detector)


@functools.cache
def llama(*, initializer_range: float = 0.2, positions: int = 256) -> Path:
    """A Llama of 0.1 million parameters with byte-level BPE and a chat template; ids of bos, eos and pad: 0, 1, 2."""

    def language_model(folder: Path) -> None:
        config = transformers.LlamaConfig(
            vocab_size=512,
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=positions,
            initializer_range=initializer_range,
            bos_token_id=0,
            eos_token_id=1,
            pad_token_id=2,
        )
        _save(transformers.LlamaForCausalLM(config), folder)
        _byte_level().save_pretrained(folder)

    return _kept(language_model, initializer_range, positions)


@functools.cache
def stable_diffusion() -> Path:
    """A Stable Diffusion of 1.7 million parameters for images of 64 x 64 pixels; its text encoder takes 77 tokens."""

    def painter(folder: Path) -> None:
        bos, eos = _clip_vocabulary(folder / "tokenizer")
        text = transformers.CLIPTextConfig(
            **_SMALL, vocab_size=eos + 1, projection_dim=32, bos_token_id=bos, eos_token_id=eos, pad_token_id=eos
        )
        _save(transformers.CLIPTextModel(text), folder / "text_encoder")
        unet = diffusers.UNet2DConditionModel(
            sample_size=8,
            block_out_channels=(32, 64),
            layers_per_block=1,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            cross_attention_dim=32,
            attention_head_dim=8,
            norm_num_groups=8,
        )
        _save(unet, folder / "unet")
        vae = diffusers.AutoencoderKL(
            block_out_channels=(16, 32, 32, 64),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            latent_channels=4,
            norm_num_groups=8,
            sample_size=64,
        )
        _save(vae, folder / "vae")
        diffusers.DDIMScheduler(clip_sample=False, set_alpha_to_one=False, steps_offset=1).save_pretrained(
            folder / "scheduler"
        )
        parts = {
            "scheduler": ["diffusers", "DDIMScheduler"],
            "text_encoder": ["transformers", "CLIPTextModel"],
            "tokenizer": ["transformers", "CLIPTokenizer"],
            "unet": ["diffusers", "UNet2DConditionModel"],
            "vae": ["diffusers", "AutoencoderKL"],
            "safety_checker": [None, None],
            "feature_extractor": [None, None],
            "image_encoder": [None, None],
        }
        index = {"_class_name": "StableDiffusionPipeline", "_diffusers_version": diffusers.__version__}
        _write(folder / "model_index.json", index | {"requires_safety_checker": False} | parts)

    return _kept(painter)


_SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}


def _bert_config(**fields: object) -> transformers.BertConfig:
    return transformers.BertConfig(
        **_SMALL, vocab_size=len(_word_pieces()), max_position_embeddings=64, initializer_range=0.2, **fields
    )


@functools.cache
def _word_pieces() -> transformers.PreTrainedTokenizerFast:
    tokenizer = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(
        TEXTS, trainers.WordPieceTrainer(vocab_size=300, special_tokens=special, show_progress=False)
    )
    ends = [(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ends
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=64,
    )


def _byte_level() -> transformers.PreTrainedTokenizerFast:
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=512,
        special_tokens=["<s>", "</s>", "<pad>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    made = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>"
    )
    made.chat_template = CHAT_TEMPLATE
    return made


def _clip_vocabulary(folder: Path) -> tuple[int, int]:
    """Every byte, inside of a word and at its end, and one merge; the ids of where a text starts and ends."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [*letters, *(letter + "</w>" for letter in letters), "th", "<|startoftext|>", "<|endoftext|>"]
    _write(folder / "vocab.json", {word: i for i, word in enumerate(words)})
    (folder / "merges.txt").write_text("#version: 0.2\nt h\n")
    end = {"unk_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}
    fields = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "bos_token": "<|startoftext|>"} | end
    _write(folder / "tokenizer_config.json", fields)
    return len(words) - 2, len(words) - 1


def _save(model: torch.nn.Module, folder: Path) -> None:
    model.eval().save_pretrained(folder, safe_serialization=True)  # type: ignore[operator]


def _write(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2))
