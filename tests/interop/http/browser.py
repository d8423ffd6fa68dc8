"""Opens the page of Rust's library at the URL that is given, and searches it as a reader would.

Ends with an error where a style, a script or the search doesn't work, or where any request failed.
"""

import json
import sys

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

PATIENCE = 120


def main(url):
    options = webdriver.ChromeOptions()
    # Root has no sandbox, and a container little shared memory.
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    browser = webdriver.Chrome(options=options)
    try:
        browser.set_page_load_timeout(PATIENCE)
        reads(browser, url)
        fails(browser)
    finally:
        browser.quit()


def reads(browser, url):
    """The page, its styles, its scripts, a search, and the page that it leads to."""
    wait = WebDriverWait(browser, PATIENCE)
    browser.get(url)
    assert "std" in browser.title, browser.title
    rules = "return [...document.styleSheets].map(sheet => sheet.cssRules.length)"
    assert sum(browser.execute_script(rules)) > 100, "the page has no styles"
    font = "return document.fonts.ready.then(fonts => [...fonts].some(it => it.status == 'loaded'))"
    assert browser.execute_script(font), "the page has no font of its own"
    browser.find_element(By.TAG_NAME, "body").send_keys("s")
    field = wait.until(lambda it: it.find_element(By.CSS_SELECTOR, "input.search-input"))
    wait.until(lambda _: field.is_displayed())
    field.send_keys("HashMap::insert", Keys.ENTER)
    links = "#search a[href*='struct.HashMap.html']"
    found = wait.until(lambda it: it.find_elements(By.CSS_SELECTOR, links))
    browser.get(found[0].get_attribute("href"))
    wait.until(lambda it: "HashMap" in it.title)


def fails(browser):
    """Raises for what the browser says of requests that failed, or of scripts."""
    answered, bad = 0, []
    for entry in browser.get_log("performance"):
        event = json.loads(entry["message"])["message"]
        what = event["params"]
        if event["method"] == "Network.loadingFailed" and not what.get("canceled"):
            bad.append(what)
        if event["method"] == "Network.responseReceived":
            answered += 1
            if what["response"]["status"] >= 400:
                bad.append(what["response"]["url"])
    bad += [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert not bad, bad
    assert answered > 10, f"only {answered} requests were seen"
    print(f"{answered} requests were answered")


main(sys.argv[1])
