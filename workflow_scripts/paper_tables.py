from pathlib import Path

from swsa_core.evaluation import total_variation
from swsa_core.files import store
from swsa_core.paper import tables as paper_tables
from swsa_core.paper import typeset
from swsa_core.report import tables
from swsa_core.strategies import select
from workflow_scripts._job import job

with job(snakemake):
    given, settings = snakemake.input, snakemake.params.settings
    kinds = settings["kinds"]

    def stacked(paths, text):
        return tables.stack({Path(path).parent.name: store.read_table(path, text=text) for path in paths})

    table1, ranking = tables.TABLE1.read(given.table1), tables.RANKING.read(given.ranking)
    made = {"table1": paper_tables.table1(table1, kinds), "table2": paper_tables.table2(ranking, kinds)}
    if given.total_variation:
        variation = stacked(given.total_variation, total_variation.TEXT)
        made["table3"] = paper_tables.table3(variation, kinds, settings["tsne_tasks"])
        made["table3_all_tasks"] = paper_tables.table3_all_tasks(variation, kinds)
    if given.selection:
        selection = stacked(given.selection, ["selection", *select.TEXT])
        made["mvtec_prompts"] = paper_tables.mvtec_prompts(selection, kinds)
    for path in map(Path, snakemake.output.tables):
        name = path.stem
        layout = typeset.LAYOUTS[name](made[name])
        paper_tables.TABLES[name].write(path, made[name])
        store.write_text(path.with_suffix(".md"), typeset.markdown(layout, typeset.NOTES[name]))
        store.write_text(path.with_suffix(".tex"), typeset.latex(layout, typeset.NOTES[name]))
