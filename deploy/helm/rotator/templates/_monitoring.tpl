{{/*
Rules and dashboard use the label `cluster` to identify a cluster. If other labels do that, they replace it everywhere: in
by() and on(), in selectors, and in texts. A JSON object of texts and their replacements. Each of these texts is in
deploy/prometheus/rules.yaml or deploy/grafana/dashboard.json.
*/}}
{{- define "rotator.clusterTexts" -}}
{{- $names := list -}}
{{- $format := list -}}
{{- $arguments := list -}}
{{- $shown := list -}}
{{- $selectors := list -}}
{{- $legends := list -}}
{{- range .Values.monitoring.clusterLabels -}}
{{- $names = append $names . -}}
{{- $format = append $format (printf "%s=%%q" .) -}}
{{- $arguments = append $arguments (printf "$labels.%s" .) -}}
{{- $shown = append $shown (printf "{{ with $labels.%s }}{{ . }}: {{ end }}" .) -}}
{{- $selectors = append $selectors (printf `%s=~\"$%s\"` . .) -}}
{{- $legends = append $legends (printf " {{%s}}" .) -}}
{{- end -}}
{{- $comma := ternary ", " "" (gt (len $names) 0) -}}
{{- $tight := ternary "," "" (gt (len $names) 0) -}}
{{- $space := ternary " " "" (gt (len $names) 0) -}}
{{- dict
  "(cluster, " (printf "(%s%s" (join ", " $names) $comma)
  "(cluster)" (printf "(%s)" (join ", " $names))
  "{cluster=%q," (printf "{%s%s" (join "," $format) $tight)
  "$labels.cluster $" (printf "%s%s$" (join " " $arguments) $space)
  "{{ with $labels.cluster }}{{ . }}: {{ end }}" (join "" $shown)
  `{cluster=~\"$cluster\",` (printf "{%s%s" (join "," $selectors) $tight)
  `{cluster=~\"$cluster\"}` (printf "{%s}" (join "," $selectors))
  " {{cluster}}" (join "" $legends)
  | toJson -}}
{{- end -}}

{{/* deploy/prometheus/rules.yaml, with the labels of monitoring.clusterLabels. */}}
{{- define "rotator.rules" -}}
{{- $text := .Files.Get "files/rules.yaml" -}}
{{- if ne (toJson .Values.monitoring.clusterLabels) `["cluster"]` -}}
{{- range $old, $new := include "rotator.clusterTexts" . | fromJson -}}
{{- $text = replace $old $new $text -}}
{{- end -}}
{{- end -}}
{{- $text -}}
{{- end -}}

{{/* deploy/grafana/dashboard.json, with the labels of monitoring.clusterLabels; each has a variable for the selection. */}}
{{- define "rotator.dashboard" -}}
{{- $text := .Files.Get "files/dashboard.json" -}}
{{- if ne (toJson .Values.monitoring.clusterLabels) `["cluster"]` -}}
{{- range $old, $new := include "rotator.clusterTexts" . | fromJson -}}
{{- $text = replace $old $new $text -}}
{{- end -}}
{{- $dashboard := fromJson $text -}}
{{- $variables := list -}}
{{- range $variable := $dashboard.templating.list -}}
{{- if eq .name "cluster" -}}
{{- range $label := $.Values.monitoring.clusterLabels -}}
{{- $query := printf "label_values(b2c_rotator_build_info, %s)" $label -}}
{{- $own := dict "name" $label "label" $label "definition" $query -}}
{{- $_ := set $own "query" (dict "qryType" 1 "query" $query "refId" $label) -}}
{{- $variables = append $variables (merge $own (omit $variable "name" "label" "definition" "query")) -}}
{{- end -}}
{{- else -}}
{{- $variables = append $variables . -}}
{{- end -}}
{{- end -}}
{{- $_ := set $dashboard.templating "list" $variables -}}
{{- $text = toPrettyJson $dashboard -}}
{{- end -}}
{{- $text -}}
{{- end -}}
