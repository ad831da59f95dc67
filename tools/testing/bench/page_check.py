# SPDX-License-Identifier: GPL-2.0
"""Is a page of one piece: well-formed, with nothing from elsewhere?"""

import re
from html.parser import HTMLParser

VOID = {"meta", "link", "br", "hr", "img", "input", "base", "col", "wbr", "source", "embed"}
REFERENCES = ("src", "href", "xlink:href", "srcset", "poster", "data", "action", "background")
# What a style can load; of a picture's own parts it may speak.
LOADS = re.compile(r"@import|url\(\s*['\"]?(?!#)", re.I)


class Page(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.faults, self.ids, self.links = [], [], set(), []
        self.tags, self.text, self.path = {}, [], []

    def fault(self, what):
        self.faults.append(f"line {self.getpos()[0]}: {what}")

    def handle_starttag(self, tag, attrs):
        self.element(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        if "svg" not in self.open and tag not in VOID:
            self.fault(f"<{tag}/> is no empty element")
        self.element(tag, attrs)

    def element(self, tag, attrs):
        self.tags[tag] = self.tags.get(tag, 0) + 1
        names = [name for name, _ in attrs]
        if len(names) != len(set(names)):
            self.fault(f"<{tag}> has an attribute twice")
        for name, value in attrs:
            if name == "id":
                if value in self.ids:
                    self.fault(f"id {value} is had twice")
                self.ids.add(value)
            elif name.startswith("on"):
                self.fault(f"<{tag}> has a handler, {name}")
            elif name == "style" and LOADS.search(value or ""):
                self.fault(f"<{tag}> loads by its style: {value}")
            elif name in REFERENCES:
                self.reference(tag, name, value or "")
        if tag in ("link", "iframe", "object", "embed", "base"):
            self.fault(f"<{tag}>")

    def reference(self, tag, name, value):
        if value.startswith("#"):
            self.links.append((self.getpos()[0], value[1:]))
        elif value.startswith("data:") and tag == "img":
            pass
        # The documentation of the tree that the page lies in.
        elif tag == "a" and name == "href" and not re.match(r"[a-z]+:|//", value, re.I):
            pass
        else:
            self.fault(f"<{tag} {name}={value}> is elsewhere")

    def handle_endtag(self, tag):
        if not self.open or self.open[-1] != tag:
            self.fault(f"</{tag}> where {self.open[-1:] or 'nothing'} is open")
        if tag in self.open:
            while self.open.pop() != tag:
                pass

    def handle_data(self, data):
        if self.open and self.open[-1] == "style" and LOADS.search(data):
            self.fault("a style loads something")
        if self.open and self.open[-1] == "script" and re.search(r"fetch\(|XMLHttp|import\s*\(|https?:", data):
            self.fault("a script loads something")
        if not self.open or self.open[-1] not in ("style", "script"):
            self.text.append(data)


def check(text):
    """The page, with what is wrong with it in `faults`."""
    page = Page()
    page.feed(text)
    page.close()
    if page.open:
        page.fault(f"not closed: {', '.join(page.open)}")
    for line, to in page.links:
        if to not in page.ids:
            page.faults.append(f"line {line}: #{to} leads nowhere")
    if not text.startswith("<!DOCTYPE html>"):
        page.faults.append("no document type")
    return page
