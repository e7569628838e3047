// What a dashboard of ours must be: Grafana's own types, with each kind of panel held to the options
// and field settings that this kind exports. Enums are taken as the strings that JSON holds.
import type {
  AnnotationQuery,
  Dashboard,
  DataQuery,
  FieldConfig,
  FieldConfigSource,
  Panel,
  RowPanel,
} from '@grafana/schema';
import type { Options as BarGauge } from '@grafana/schema/dist/esm/raw/composable/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen';
import type {
  FieldConfig as HeatmapField,
  Options as Heatmap,
} from '@grafana/schema/dist/esm/raw/composable/heatmap/panelcfg/x/HeatmapPanelCfg_types.gen';
import type { Options as Stat } from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type {
  FieldConfig as StateTimelineField,
  Options as StateTimeline,
} from '@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen';
import type {
  FieldConfig as TimeSeriesField,
  Options as TimeSeries,
} from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

/** T as JSON holds it: an enum of strings is any of its strings. */
type Json<T> = T extends string ? `${T}` : T extends object ? { [K in keyof T]: Json<T[K]> } : T;

/** Not in the package: the query of Grafana's Prometheus plugin, grafana-prometheus/src/dataquery.ts. */
interface Prometheus extends DataQuery {
  editorMode?: 'builder' | 'code';
  exemplar?: boolean;
  expr: string;
  format?: 'time_series' | 'table' | 'heatmap';
  instant?: boolean;
  interval?: string;
  legendFormat?: string;
  range?: boolean;
}

/** Not in the package either: what the same plugin reads of an annotation besides its query. */
interface Mark extends AnnotationQuery<Prometheus> {
  textFormat?: string;
  titleFormat?: string;
}

type Kind<Type extends string, Options, Custom = never> = Json<
  Omit<Panel, 'fieldConfig' | 'options' | 'targets' | 'type'>
> & {
  type: Type;
  targets: Prometheus[];
  options: Json<Options>;
  fieldConfig: Json<Omit<FieldConfigSource, 'defaults'>> & {
    defaults: Json<Omit<FieldConfig, 'custom'>> & { custom?: Json<Custom> };
  };
};

export type Page = Json<Omit<Dashboard, 'annotations' | 'panels'>> & {
  annotations: { list: Json<Mark>[] };
  panels: (
    | Json<RowPanel>
    | Kind<'bargauge', BarGauge>
    | Kind<'heatmap', Heatmap, HeatmapField>
    | Kind<'stat', Stat>
    | Kind<'state-timeline', StateTimeline, StateTimelineField>
    | Kind<'timeseries', TimeSeries, TimeSeriesField>
  )[];
};
