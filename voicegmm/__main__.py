"""``python -m voicegmm``."""

from voicegmm.cli import main

if __name__ == "__main__":
    main()
