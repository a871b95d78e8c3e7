"""What a checkpoint's folder is called, and whether its files came from a hub."""

from pathlib import Path

from qwen3_tts_export.checkpoint.spec import CODEC_FOLDER, find_spec


def identify(folder: Path) -> tuple[str, str | None]:
    """Return a folder's name and commit.

    The cache of Hugging Face keeps both in the path; ModelScope's writes a dot as `___`.
    """
    path = folder.resolve()
    repository = path.parent.parent.name
    if path.parent.name == "snapshots" and repository.startswith("models--"):
        return repository.rsplit("--", 1)[1], path.name
    return path.name.replace("___", "."), None


def cure(file: str | Path, otherwise: str) -> str:
    """Say what to do about a file that is damaged, absent or not as it should be.

    Args:
        file: Of a checkpoint.
        otherwise: What somebody does who has not downloaded it but trained or converted it.
    """
    folder = Path(file).parent
    if folder.name == CODEC_FOLDER:
        folder = folder.parent
    name, commit = identify(folder)
    downloaded = commit is not None or find_spec(name) is not None or "modelscope" in folder.parts
    return "download it again" if downloaded else otherwise
