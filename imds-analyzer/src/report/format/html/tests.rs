use super::*;
use crate::report::fixture::{quiet, report_on_runs};

fn page() -> String {
    render(&report_on_runs(&quiet()))
}

#[test]
fn page_asks_nobody_for_anything() {
    let page = page();
    // The only address that may stand in it is SVG's, which names a language.
    for word in [
        "http://", "https://", "//cdn", "<link", "<iframe", "@import", "url(", " src=",
    ] {
        assert!(!page.contains(word), "{word}");
    }
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn page_has_no_style_or_script_but_those_that_its_policy_names() {
    let page = page();
    assert_eq!(page.matches("<style>").count(), 1);
    assert_eq!(page.matches("<script>").count(), 1);
    for word in [" style=", " onclick=", "javascript:"] {
        assert!(!page.contains(word), "{word}");
    }
    assert!(page.contains(STYLE) && page.contains(SCRIPT));
}

#[test]
fn timeline_has_a_bar_for_requests_and_a_lane_for_each_host() {
    let page = page();
    assert!(page.contains("<svg") && page.contains("class=\"bar-v2\" x="));
    assert_eq!(
        page.matches("class=\"seen\"").count(),
        3,
        "one for each boot"
    );
}
