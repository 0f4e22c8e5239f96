output "role_arn" {
  description = "Of the workload's role."
  value       = aws_iam_role.this.arn
}
