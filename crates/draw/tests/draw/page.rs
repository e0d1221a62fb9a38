//! The HTML page, read as text. What its script does is seen in a browser.

use runlineage_draw::{HtmlOptions, NodeKind, Picture, PictureNode, html};

use crate::scenes;

/// What stands between the two texts.
fn between<'a>(page: &'a str, start: &str, end: &str) -> &'a str {
    let (_, rest) = page.split_once(start).unwrap();
    rest.split_once(end).unwrap().0
}

fn data(page: &str) -> serde_json::Value {
    let json = between(
        page,
        r#"<script id="data" type="application/json">"#,
        "</script>",
    );
    assert!(!json.contains('<'), "no tag begins in the data");
    serde_json::from_str(json).unwrap()
}

#[test]
fn the_data_of_a_page_is_the_whole_graph_even_where_the_picture_is_folded() {
    let picture = scenes::wide();
    let mut options = HtmlOptions::default();
    options.fold = Some(5);
    let data = data(&html(&picture, &options));
    let count = |part: &str| data[part]["nodes"].as_array().unwrap().len();
    assert_eq!(count("graph"), picture.nodes().len());
    assert_eq!(count("drawn"), picture.fold(5).nodes().len());
    assert!(count("drawn") < count("graph"));
}

#[test]
fn hostile_names_end_neither_the_data_nor_the_page() {
    for seed in 0..50 {
        let picture = scenes::random(seed);
        let page = html(&picture, &HtmlOptions::default());
        let data = data(&page);
        let names: Vec<&str> = data["graph"]["nodes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|node| node["name"].as_str().unwrap())
            .collect();
        let expected: Vec<&str> = picture
            .nodes()
            .iter()
            .map(|node| node.name.as_str())
            .collect();
        assert_eq!(names, expected);
        assert_eq!(
            page.matches("<script").count(),
            2,
            "the data and the script"
        );
        assert_eq!(page.matches("</script>").count(), 2);
        assert!(
            !page.contains("javascript:alert"),
            "only web links are kept"
        );
    }
}

#[test]
fn a_name_like_a_slot_is_not_filled() {
    let mut node = PictureNode::new("run:a", NodeKind::Run);
    node.name = "{{script}}".into();
    node.start = true;
    let page = html(
        &Picture::new(vec![node], vec![]).unwrap(),
        &HtmlOptions::default(),
    );
    assert!(page.contains(">{{script}}</text>"));
}

#[test]
fn a_page_asks_no_server_for_anything() {
    let page = html(&scenes::medium(), &HtmlOptions::default());
    assert!(page.contains("default-src 'none'"));
    let page = page.replace("http://www.w3.org/2000/svg", "");
    let outside_data = page.replace(
        between(&page, r#"type="application/json">"#, "</script>"),
        "",
    );
    for request in [
        "http://", "https://", "url(", "@import", " src=", "fetch(", "import(",
    ] {
        assert!(!outside_data.contains(request), "{request}");
    }
}
