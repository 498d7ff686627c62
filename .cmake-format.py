with section("format"):
    line_width = 120
    tab_size = 2
with section("markup"):
    enable_markup = False
