"""`python -m textgate` is `textgate`."""

from textgate.cli import main

if __name__ == "__main__":
    main()
