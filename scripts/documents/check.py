"""Checks README.md, docs/, bench/README.md and the documents of examples and integrations: every relative link and
#anchor leads somewhere, and every file of the repository and every test that they name exists. Prints what is wrong, and exits with 1 then."""

import glob, os, re, sys

DOCUMENTS = ["README.md", "CHANGELOG.md", "bench/README.md", *sorted(glob.glob("docs/*.md")), *sorted(glob.glob("examples/*/README.md")),
             *sorted(glob.glob("integrations/*/README.md"))]
# Directories whose files documents name, and what lies there only after a build or a run.
OURS = "bench|config|docs|erlang|examples|integrations|lab|native|priv|scripts|test"
BUILT = r"priv/(domain_nif\.so|bin)\b|bench/results|native/\S*target"
problems = []


def prose(text):
    """The text without its fenced blocks, whose lines stay empty."""
    return re.sub(r"^( *)```.*?^\1```", lambda block: "\n" * block[0].count("\n"), text, flags=re.M | re.S)


def anchors(document):
    """What GitHub makes of the headings, and explicit anchors."""
    text = prose(open(document).read())
    headings = [re.sub(r"`|\[|\]\([^)]*\)", "", heading) for heading in re.findall(r"^#+ (.*)$", text, re.M)]
    named = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return named | set(re.findall(r'<a id="([^"]+)"', text))


def braces(path):
    """`a/{b,c}` is a/b and a/c."""
    found = re.match(r"(.*?)\{([^}]*)\}(.*)", path)
    return [one for part in found[2].split(",") for one in braces(found[1] + part.strip() + found[3])] if found else [path]


def check_links(document, text):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(text)):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        path = os.path.normpath(os.path.join(os.path.dirname(document), file)) if file else document
        if not os.path.exists(path):
            problems.append(f"{document}: the link {target} leads to a file that is not there")
        elif anchor and anchor not in anchors(path):
            problems.append(f"{document}: the link {target} leads to a heading that is not in {path}")


def check_paths(document, text):
    for named in re.findall(rf"`((?:{OURS})/[^`\s]*)`", prose(text)):
        for path in braces(named):
            here = os.path.join(os.path.dirname(document), path)
            if not re.match(BUILT, path) and not any(glob.glob(one.replace("…", "*")) for one in (path, here)):
                problems.append(f"{document}: `{named}` is no file of the repository")


def check_tests(document, text):
    """`name_SUITE`: `case`, `case` and cargo, `crate`: `test` stand for tests."""
    for line in prose(text).split("\n"):
        source = None
        for before, name in re.findall(r"([^`]*)`([^`]*)`", line):
            if name.endswith(("_SUITE", "_tests")):
                source, content = name, read(f"test/{name}.erl", document)
            elif before.rstrip().endswith("cargo,"):
                crate = f"native/{name.removeprefix('domain_')}"
                source, content = name, "\n".join(path + "\n" + open(path).read() for path in glob.glob(f"{crate}/**/*.rs", recursive=True))
            elif source and re.fullmatch(r"[,: ]*", before) and not re.search(rf"\b{name}\b", content):
                problems.append(f"{document}: {source} has no test `{name}`")
            elif source and not re.fullmatch(r"[,: ]*", before):
                source = None


def read(path, document):
    if os.path.exists(path):
        return open(path).read()
    problems.append(f"{document}: {path} is not there")
    return ""


for document in DOCUMENTS:
    text = open(document).read()
    check_links(document, text)
    check_paths(document, text)
    check_tests(document, text)
print("\n".join(problems))
sys.exit(bool(problems))
